// A manager and tensors on a device: the budget counts their true bytes, and what nobody leases goes to the host and comes back exactly.
#include <doctest/doctest.h>

#include <numeric>
#include <thread>

#include "../error_text.hpp"
#include "cotenant/share/manager.hpp"
#include "test_device.hpp"

using namespace cotenant::test;
using namespace cotenant;

namespace {
std::vector<float> numbers(std::size_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}
constexpr std::size_t tensor_elements = 100000, tensor_bytes = (tensor_elements * 4 + 255) / 256 * 256;
}  // namespace

TEST_CASE("a budget smaller than the working set: tensors wait on the host and come back as they were") {
  for (bool zero_copy : {false, true}) {
    auto options = checked_options();
    options.zero_copy = zero_copy;
    const Checked gpu(options);
    {
      TensorSharingManager manager{{.max_memory_of = {{"vulkan", 3 * tensor_bytes}}}};
      for (int i = 0; i < 8; ++i) {
        manager.register_tensor("t" + std::to_string(i), to_device(*gpu, numbers(tensor_elements, float(i))), {.producer = "maker", .consumers = {"reader"}});
        manager.release_model("maker");
      }
      gpu->synchronize();
      CHECK(gpu->gpu_memory_usage().in_use <= 3 * tensor_bytes);
      CHECK(manager.stats().evictions >= 5);
      for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 8; ++i) {
          const auto lease = manager.get<float, Vulkan>("t" + std::to_string(i), "reader");
          const auto out = empty<float>({tensor_elements}, *gpu);
          twice_plus_one(*gpu, *lease, out);
          REQUIRE(to_host(*lease) == numbers(tensor_elements, float(i)));
          REQUIRE(to_host(out)[1] == 2 * float(i) + 3);
        }
      gpu->synchronize();
      CHECK(gpu->gpu_memory_usage().in_use <= 3 * tensor_bytes);
      CHECK(manager.stats().reloads >= 8);
    }
    gpu->synchronize();
    CHECK(gpu->gpu_memory_usage().in_use == 0);
  }
}

TEST_CASE("kernels under way do not make a tensor stay, leases do") {
  const Checked gpu;
  TensorSharingManager manager{{.max_memory_of = {{"vulkan", 2 * tensor_bytes}}}};
  const auto add = [&](const char* name) { manager.register_tensor(name, to_device(*gpu, numbers(tensor_elements, 0)), {.consumers = {"reader"}}); };
  add("a");
  add("b");
  const auto out = empty<float>({tensor_elements}, *gpu);
  twice_plus_one(*gpu, *manager.get<float, Vulkan>("a", "reader"), out);  // queued; the lease has ended
  add("c");
  CHECK(to_host(out)[2] == 5.f);
  auto first = manager.get<float, Vulkan>("a", "reader"), second = manager.get<float, Vulkan>("b", "reader");
  const std::string text = message([&] { add("d"); });
  CHECK(has(text, "budget_exceeded"));
  CHECK(has(text, "storage 'vulkan'"));
  CHECK(to_host(*first) == numbers(tensor_elements, 0));
}

TEST_CASE("a tensor that cannot come back stays on the host, and comes back when there is memory again") {
  auto options = checked_options();
  options.faults = std::make_shared<vulkan::Faults>();
  options.mode = vulkan::PriorityMode::memory;
  const Checked gpu(options);
  TensorSharingManager manager{{.max_memory_of = {{"vulkan", tensor_bytes}}}};
  manager.register_tensor("a", to_device(*gpu, numbers(tensor_elements, 7)), {.consumers = {"reader"}});
  manager.register_tensor("b", to_device(*gpu, numbers(tensor_elements, 8)), {.consumers = {"reader"}});
  options.faults->fail(vulkan::Step::allocate_memory, VK_ERROR_OUT_OF_DEVICE_MEMORY, 0, 1000);
  gpu->optimize_memory();
  const std::string text = message([&] { static_cast<void>(manager.get<float, Vulkan>("a", "reader")); });
  CHECK(has(text, "out_of_memory"));
  options.faults->fail(vulkan::Step::allocate_memory, VK_SUCCESS, 0, 0);
  CHECK(to_host(*manager.get<float, Vulkan>("a", "reader")) == numbers(tensor_elements, 7));
  CHECK(to_host(*manager.get<float, Vulkan>("b", "reader")) == numbers(tensor_elements, 8));
}

TEST_CASE("many threads lease more than fits") {
  const Checked gpu;
  TensorSharingManager manager{{.max_memory_of = {{"vulkan", 4 * tensor_bytes}}}};
  for (int i = 0; i < 6; ++i) manager.register_tensor("t" + std::to_string(i), to_device(*gpu, numbers(tensor_elements, float(i))), {.consumers = {"reader"}});
  std::vector<std::thread> threads;
  std::atomic<int> right{0}, refused{0};
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      const Vulkan mine = gpu->stream("thread " + std::to_string(t));
      for (int i = 0; i < 12; ++i) {
        const int which = (t * 5 + i) % 6;
        try {
          const auto lease = manager.get<float, Vulkan>("t" + std::to_string(which), "reader");
          right += to_host(*lease)[3] == float(which) + 3;
        } catch (const BudgetExceeded&) {
          ++refused;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 36);
  CHECK(refused == 0);
}

TEST_CASE("tensors of two devices share one manager and its budget, and come back to the device that they left") {
  const Checked first, second;
  TensorSharingManager manager{{.max_memory_of = {{"vulkan", 3 * tensor_bytes}}}};
  const auto name = [](int i) { return "t" + std::to_string(i); };
  for (int i = 0; i < 6; ++i) {
    manager.register_tensor(name(i), to_device(i % 2 == 0 ? *first : *second, numbers(tensor_elements, float(i))), {.producer = "maker", .consumers = {"reader"}});
    manager.release_model("maker");
  }
  first->synchronize(), second->synchronize();
  CHECK(first->gpu_memory_usage().in_use + second->gpu_memory_usage().in_use <= 3 * tensor_bytes);
  CHECK(manager.stats().evictions >= 3);
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 6; ++i) {
      const auto lease = manager.get<float, Vulkan>(name(i), "reader");
      CHECK(&lease->block()->storage<Vulkan>().device() == &(i % 2 == 0 ? *first : *second).device());
      CHECK(to_host(*lease) == numbers(tensor_elements, float(i)));
      manager.release_model("reader");
    }
}
