#include "cotenant/vulkan/custom_kernel.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "cotenant/share/manager.hpp"
#include "axpy_spirv.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

namespace {
CustomKernelOptions described() {
  CustomKernelOptions options;
  options.name = "axpy";
  options.inputs = {{"x", DType::f32}, {"y", DType::f32}};
  options.outputs = {{"z", DType::f32}, {"large", DType::i32}};
  options.scalars = {"alpha", "count"};
  options.workgroup = {64, 0, 0};
  return options;
}
std::string refusal(const Vulkan& gpu, const CustomKernelOptions& options) {
  return message([&] { CustomKernel kernel(gpu, axpy_spirv, options); });
}
}  // namespace

TEST_CASE("a user's kernel runs on tensors by name, and its outputs are tensors like others") {
  for (bool descriptors : {false, true}) {
    const Checked gpu(checked_options(descriptors));
    const CustomKernel kernel(*gpu, axpy_spirv, described());
    CHECK(kernel.workgroup() == std::array<std::uint32_t, 3>{64, 1, 1});
    const auto x = to_device(*gpu, std::vector<float>(101, 3.f)), y = to_device(*gpu, std::vector<float>(101, 1.f));
    // A view that begins where no buffer may, and one that is not row-major, are copied first.
    const auto tail = x.slice(0, 1, 101), backwards = y.slice(0, 99, -1, -1);
    const KernelResults results =
        kernel.run({.inputs = {{"y", backwards}, {"x", tail}}, .outputs = {{"large", {100}}, {"z", {10, 10}}}, .scalars = {{"count", 100u}, {"alpha", 4.f}}, .groups = {2, 1, 1}});
    const auto z = results.get<float>("z");
    CHECK(z.shape() == Shape{10, 10});
    CHECK(z.copy_to<Heap>().view()(9, 9) == 13.f);
    CHECK(results.get<std::int32_t>("large").copy_to<Heap>().view()(99) == 1);
    CHECK(map([](auto v) { return v + 1.f; }, z).copy_to<Heap>().view()(0, 0) == 14.f);
    TensorSharingManager manager;
    results.register_with(manager, "axpy/", {.consumers = {"reader"}});
    CHECK(manager.get<float, Vulkan>("axpy/z", "reader")->shape() == Shape{10, 10});
    CHECK(has(message([&] { static_cast<void>(results.get<float>("large")); }), "wrong_type"));
    CHECK(has(message([&] { static_cast<void>(results.get<float>("w")); }), "not_found"));
  }
}

TEST_CASE("a description that the module contradicts is refused before the driver sees it") {
  auto options = checked_options();
  options.faults = std::make_shared<vulkan::Faults>();
  const Checked gpu(options);
  auto wrong = described();
  wrong.outputs.pop_back();
  CHECK(has(refusal(*gpu, wrong), "uses binding 3"));
  wrong = described();
  wrong.inputs.push_back(wrong.outputs.front());
  wrong.outputs.erase(wrong.outputs.begin());
  CHECK(has(refusal(*gpu, wrong), "writes to binding 2, its input 'z'"));
  wrong = described();
  wrong.inputs.push_back({"more", DType::f32});
  CHECK(has(refusal(*gpu, wrong), "never names binding 4"));
  wrong = described();
  wrong.outputs.insert(wrong.outputs.begin(), wrong.inputs.back());
  wrong.inputs.pop_back();
  CHECK(has(refusal(*gpu, wrong), "read-only"));
  wrong = described();
  wrong.scalars.pop_back();
  CHECK(has(refusal(*gpu, wrong), "8 bytes of push constants"));
  wrong = described();
  wrong.scalars[0] = "x";
  CHECK(has(refusal(*gpu, wrong), "two arguments called 'x'"));
  wrong = described();
  wrong.workgroup[0] = 1u << 20;
  CHECK(has(refusal(*gpu, wrong), "takes at most"));
  wrong = described();
  wrong.workgroup[1] = 2;
  CHECK(has(refusal(*gpu, wrong), "no specialization constant"));
  wrong = described();
  wrong.entry_point = "nobody";
  CHECK(has(refusal(*gpu, wrong), "no entry point"));
  CHECK(has(message([&] { CustomKernel kernel(*gpu, std::array<std::uint32_t, 8>{1, 2, 3}, described()); }), "invalid_argument"));
  CHECK(options.faults->calls(vulkan::Step::create_shader) == 0);
}

TEST_CASE("capabilities and shared memory that the device lacks are refused by name") {
  const Checked gpu;
  std::vector<std::uint32_t> words(std::begin(axpy_spirv), std::end(axpy_spirv));
  words.insert(words.begin() + 5, {0x00020011, 5055});  // OpCapability RayTracing-like: nothing of ours
  CHECK(has(message([&] { CustomKernel kernel(*gpu, words, described()); }), "unsupported: the custom kernel 'axpy' needs the SPIR-V capability 5055"));
}

TEST_CASE("a run that does not fit the description is refused") {
  const Checked gpu, other;
  const CustomKernel kernel(*gpu, axpy_spirv, described());
  const auto x = to_device(*gpu, {1, 2}), far = to_device(*other, {1, 2});
  const auto whole = empty<std::int32_t>({2}, *gpu);
  const auto attempt = [&](const CustomRun& call) { return message([&] { static_cast<void>(kernel.run(call)); }); };
  const CustomRun good{.inputs = {{"x", x}, {"y", x}}, .outputs = {{"z", {2}}, {"large", {2}}}, .scalars = {{"alpha", 1.f}, {"count", 2u}}, .groups = {1, 1, 1}};
  CHECK(attempt(good) == "no error");
  auto bad = good;
  bad.inputs.pop_back();
  CHECK(has(attempt(bad), "takes 2 inputs, 2 outputs and 2 scalars"));
  bad = good;
  bad.inputs[1].name = "w";
  CHECK(has(attempt(bad), "not_found: the custom kernel 'axpy' needs the input 'y'"));
  bad = good;
  bad.inputs[1] = {"y", whole};
  CHECK(has(attempt(bad), "wrong_type"));
  bad = good;
  bad.groups = {0, 1, 1};
  CHECK(has(attempt(bad), "workgroups"));
  bad = good;
  bad.groups = {1, 0xffffffff, 1};
  CHECK(has(attempt(bad), "workgroups"));
  bad = good;
  bad.inputs[0] = {"x", far};
  CHECK(has(attempt(bad), "a custom kernel runs on '"));
}
