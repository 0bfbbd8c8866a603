#include "cotenant/vulkan/backend.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

#include "../error_text.hpp"
#include "cotenant/ops/best_backend.hpp"
#include "cotenant/ops/softmax.hpp"
#include "cotenant/reference/reference.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

static_assert(Backend<VulkanBackend>);
static_assert(OptionalBackend<VulkanBackend>);
static_assert(BackendCandidate<Vulkan>);
static_assert(std::same_as<backend_of<Vulkan>, VulkanBackend>);

TEST_CASE("the same lines run on the device; its results stay there until they are copied") {
  const Checked gpu;
  const auto x = from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3}), w = from({1.f, 0.f, 0.f, 1.f, 1.f, 1.f}, {3, 2});
  const auto y = matmul(x.copy_to(*gpu), w.copy_to(*gpu), [](auto sum) { return sum * 2.f; });
  static_assert(std::same_as<decltype(y), const SharedTensor<float, Vulkan>>);
  const auto host = y.copy_to<Heap>();
  CHECK(host.view()(0, 0) == 8.f);
  CHECK(host.view()(1, 1) == 22.f);
  CHECK(reduce_sum(softmax(y, -1)).copy_to<Heap>().view()() == doctest::Approx(2));
}

TEST_CASE("an op runs on the stream of its first operand") {
  const Checked gpu;
  const Vulkan tenant = gpu->stream("tenant");
  const auto shared = from({1.f, 2.f}, {2}).copy_to(*gpu), own = from({3.f, 4.f}, {2}).copy_to(tenant);
  const std::size_t before = gpu->shared_stream()->commands(), tenant_before = tenant.shared_stream()->commands();
  const auto sum = map([](auto a, auto b) { return a + b; }, own, shared);
  CHECK(gpu->shared_stream()->commands() == before);
  CHECK(tenant.shared_stream()->commands() == tenant_before + 1);
  CHECK(sum.block()->storage<Vulkan>() == tenant);
  CHECK(sum.copy_to<Heap>().view()(1) == 6.f);
}

TEST_CASE("copies of every kind: strided from and to the host, on the device, between streams") {
  const Checked gpu;
  const auto x = from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  const auto device = x.transpose().copy_to(*gpu);
  CHECK(device.transpose().copy_to<Heap>().view()(1, 0) == 4.f);
  auto target = zeros<float>({3, 4});
  copy_into(target.slice(1, 0, 4, 2), device);
  CHECK(target.view()(2, 2) == 6.f);
  CHECK(target.view()(2, 1) == 0.f);
  auto inside = zeros<float>({3, 4}).copy_to(gpu->stream("other"));
  copy_into(inside.slice(1, 3, -1, -2), device);
  CHECK(inside.copy_to<Heap>().view()(1, 3) == 2.f);
  CHECK(inside.copy_to<Heap>().view()(1, 1) == 5.f);
  CHECK(empty<float>({0, 3}).copy_to(*gpu).copy_to<Heap>().size() == 0);
}

TEST_CASE("the host's memory as the device's, without a copy") {
  const Checked gpu;
  if (!gpu->capabilities().host_import) {
    CHECK(has(message([&] { static_cast<void>(gpu->import(zeros<float>({4}))); }), "unsupported"));
    return;
  }
  auto host = zeros<float>({10000});
  host.mutable_view()(7) = 3.f;
  {
    const auto device = gpu->import(host);
    CHECK(gpu->gpu_memory_usage().in_use == 0);
    CHECK(gpu->gpu_memory_usage().imported >= 40000);
    CHECK(to_host(device)[7] == 3.f);
    twice_plus_one(*gpu, device, device);
    gpu->synchronize();
    CHECK(host.view()(7) == 7.f);
    CHECK(host.view()(9999) == 1.f);
    CHECK(host.use_count() == 2);
  }
  gpu->synchronize();
  CHECK(host.use_count() == 1);
  CHECK(gpu->gpu_memory_usage().imported == 0);
  const auto part = gpu->import(host.slice(0, 5, 9));
  CHECK(to_host(part) == std::vector<float>{1, 1, 7, 1});
}

TEST_CASE("many threads compute on one device, on one stream and on their own") {
  const Checked gpu;
  const auto w = from({1.f, 2.f, 3.f, 4.f}, {2, 2}).copy_to(*gpu);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const Vulkan mine = t < 3 ? *gpu : gpu->stream("tenant " + std::to_string(t));
      for (int i = 0; i < 10; ++i) {
        const auto y = matmul(from({float(t), 1.f}, {1, 2}).copy_to(mine), w, [](auto sum) { return sum + 1.f; });
        right += y.copy_to<Heap>().view()(0, 1) == 2.f * float(t) + 5.f;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 60);
}

namespace {
// f of the same elements on the device and on Reference, compared to the last bit.
template <class X, class Y, class F> void check_same_elements(const X& there, const Y& here, F f) {
  const auto got = f(there).template copy_to<Heap>(), want = f(here).template copy_to<Heap>();
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(convert<float>(got.view().data()[i]) == convert<float>(want.view().data()[i]));
}
}  // namespace

TEST_CASE("a device that cannot address small elements computes with them by the words that hold them") {
  for (const bool descriptors : {false, true}) {
    auto options = checked_options(descriptors);
    options.pretend = [](vulkan::Capabilities& device) { device.storage_8bit = device.storage_16bit = false; };
    const Checked gpu(options);
    auto bytes = empty<std::int8_t, ReferenceHeap>({3, 13});
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes.mutable_view().data()[i] = static_cast<std::int8_t>(3 * static_cast<int>(i) - 60);
    const auto there = bytes.copy_to(*gpu);
    // Parts that begin and end within a word, forwards and backwards; what lies beside them stays.
    const auto twice = [](auto a) { return a + a; };
    const auto double_the_middle = [&](const auto& x) { map_into(x.slice(1, 1, 12), twice, x.slice(1, 1, 12)); };
    double_the_middle(there), double_the_middle(bytes);
    check_same_elements(there, bytes, [](const auto& x) { return x; });
    check_same_elements(there, bytes, [&](const auto& x) { return map(twice, x.slice(1, 11, 2, -3)); });
    check_same_elements(there, bytes, [&](const auto& x) { return map([](auto a) { return a > 0; }, x).slice(1, 3, 10).contiguous(); });
    const auto columns = [](const auto& x) { return cast<f16>(x).slice(1, 1, 6); };
    check_same_elements(there, bytes, [&](const auto& x) { return map(twice, columns(x).transpose(0, 1)); });
    check_same_elements(there, bytes, [&](const auto& x) { return matmul<float>(columns(x), columns(x).transpose(0, 1)); });
    check_same_elements(there, bytes, [&](const auto& x) { return reduce_max(columns(x)); });
  }
}

TEST_CASE("a device without integers of 64 bits says so, and moves them all the same") {
  auto options = checked_options();
  options.pretend = [](vulkan::Capabilities& device) { device.shader_int64 = false; };
  const Checked gpu(options);
  const auto x = from<std::int64_t>({1, -2, 3, std::int64_t{1} << 40}, {2, 2}).copy_to(*gpu);
  const std::string text = message([&] { map([](auto a) { return a + a; }, x); });
  CHECK(has(text, "unsupported"));
  CHECK(has(text, "shaderInt64"));
  CHECK(has(text, "cast the tensor on the CPU"));
  CHECK(x.transpose(0, 1).contiguous().copy_to<Heap>().view()(1, 1) == std::int64_t{1} << 40);
}

TEST_CASE("several devices at once: a tensor goes from one to the other through the host, and no op mixes them") {
  const Checked first, second;
  CHECK(&first->device() != &second->device());
  const auto x = from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3}).copy_to(*first);
  const auto there = x.transpose(0, 1).copy_to(*second);
  CHECK(&there.block()->storage<Vulkan>().device() == &second->device());
  const auto sum = map([](auto a) { return a + 1.f; }, there).copy_to<Heap>();
  CHECK(sum.view()(0, 1) == 5.f);
  CHECK(sum.view()(2, 0) == 4.f);
  // Errors name the op as users call it, and both devices.
  const std::string name = first->capabilities().name;
  const std::string apart = " runs on '" + name + "', but one of its operands lies on another device, '" + name + "': bring the operands together";
  CHECK(has(message([&] { map([](auto a, auto b) { return a + b; }, x, there.transpose(0, 1)); }), "invalid_argument: map" + apart));
  CHECK(has(message([&] { matmul(x, there); }), "invalid_argument: matmul" + apart));
}
