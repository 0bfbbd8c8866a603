#include "cotenant/vulkan/staging.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "../error_text.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::empty;

TEST_CASE("copies of any size come back as they were: through staging and straight to memory that the host sees") {
  for (bool zero_copy : {false, true}) {
    auto options = checked_options();
    options.zero_copy = zero_copy;
    const Checked gpu(options);
    for (std::size_t count : {std::size_t{1}, std::size_t{1000}, vk::staging_bytes / 4, vk::staging_bytes / 4 + 1, 5 * vk::host_piece / 4 + 7,
                              3 * vk::staging_bytes, (vk::download_staging + vk::staging_bytes) / 4 + 1}) {
      if (zero_copy && count > vk::staging_bytes) continue;  // nothing of a ring is used there
      std::vector<float> values(count);
      std::iota(values.begin(), values.end(), 0.f);
      CHECK(to_host(to_device(*gpu, values)) == values);
    }
  }
}

TEST_CASE("the host's bytes are taken when the copy is called") {
  const Checked gpu;
  auto host = cotenant::from({1.f, 2.f}, {2});
  const auto x = empty<float>({2}, *gpu);
  vk::upload(*gpu->shared_stream(), host.view(), x.block().get(), x.block()->data());
  host.mutable_view()(0) = 100.f;
  CHECK(to_host(x) == std::vector<float>{1, 2});
}

TEST_CASE("large copies go both ways while a stream computes: they wait for none of its work, and it for them only where it reads what they bring") {
  const Checked gpu;
  const std::size_t count = vk::large_copy / 2;  // of floats: twice what a copy of its own takes
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.f);
  const auto source = to_device(*gpu, values);
  const auto x = to_device(*gpu, {1.f}), y = empty<float>({1}, *gpu);
  vk::Stream &computing = *gpu->shared_stream(), &up = computing.copies(vk::Direction::to_device), &down = computing.copies(vk::Direction::to_host);
  CHECK(&up != &down);
  gpu->synchronize();

  // Work that cannot begin until this test lets it. With queues of their own, copies pass what the device has been given; with a
  // single queue, which takes everything in order, they pass what has been recorded.
  const cotenant::Vulkan gate = gpu->stream("gate");
  const bool own_queues = gpu->capabilities().transfer_queues > 1;
  if (own_queues) computing.follow({gate.shared_stream(), 1});
  for (int i = 0; i < 10; ++i) twice_plus_one(*gpu, i % 2 == 0 ? x : y, i % 2 == 0 ? y : x);
  if (own_queues) computing.flush();
  const std::uint64_t computed = computing.queued();

  const std::size_t waits = up.waits() + down.waits();
  const auto brought = to_device(*gpu, values);
  CHECK(to_host(source) == values);
  up.finish();
  CHECK(up.waits() + down.waits() == waits);
  CHECK_FALSE(computing.timeline().reached(computed));

  const auto doubled = empty<float>({count}, *gpu);
  twice_plus_one(*gpu, brought, doubled);
  if (own_queues) {
    VkSemaphoreSignalInfo open{};
    open.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO;
    open.semaphore = gate.shared_stream()->timeline().handle();
    open.value = 1;
    CHECK(vkSignalSemaphore(gpu->device().driver().handle(), &open) == VK_SUCCESS);
  }
  // This copy waits for the kernel, and is in order with everything before it.
  CHECK(to_host(doubled)[count - 1] == 2.f * values[count - 1] + 1.f);
  CHECK(down.waits() > 0);
  CHECK(to_host(x)[0] == 2047.f);
}

TEST_CASE("many threads bring and fetch large tensors on streams of their own while others compute with them") {
  const Checked gpu;
  const std::size_t count = vk::large_copy / sizeof(float) + 100;
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.f);
  const auto shared = to_device(*gpu, values);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      const cotenant::Vulkan mine = gpu->stream("tenant " + std::to_string(t % 4));
      for (int round = 0; round < 3; ++round) {
        const auto own = to_device(mine, values), sum = empty<float>({count}, mine);
        twice_plus_one(mine, t % 2 == 0 ? shared : own, sum);
        right += to_host(sum)[count - 1] == 2.f * values[count - 1] + 1.f;
        right += to_host(own) == values;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 48);
  gpu->synchronize();
}

TEST_CASE("a large copy that fails on one thread ends on all of them, and the next one succeeds") {
  auto options = checked_options();
  options.faults = std::make_shared<vk::Faults>();
  const Checked gpu(options);
  const std::size_t count = 6 * vk::staging_bytes / sizeof(float);
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.f);
  const auto x = empty<float>({count}, *gpu), y = to_device(*gpu, values);
  gpu->synchronize();
  const auto host = cotenant::from(values, {count});
  const auto up = [&] { vk::upload(*gpu->shared_stream(), host.view(), x.block().get(), x.block()->data()); };
  for (const std::size_t after : {0u, 2u, 4u}) {
    options.faults->fail(vk::Step::submit, VK_ERROR_OUT_OF_HOST_MEMORY, after);
    CHECK(has(message(up), "out_of_memory"));
    up();
    CHECK(to_host(x) == values);
  }
  options.faults->fail(vk::Step::wait, VK_ERROR_OUT_OF_HOST_MEMORY, 1);
  auto back = empty<float>({count});
  vk::download(*gpu->shared_stream(), y.block().get(), y.block()->data(), back.mutable_view(), back.block().get());
  CHECK(has(message([&] { static_cast<void>(back.view()); }), "out_of_memory"));
  CHECK(back.view()(count - 1) == values[count - 1]);
}

TEST_CASE("two copies into one block of the host both arrive") {
  const Checked gpu;
  const auto x = to_device(*gpu, {1, 2}), y = to_device(*gpu, {3, 4});
  const auto host = cotenant::zeros<float>({4});
  const auto halves = [&](std::ptrdiff_t at) { return host.slice(0, at, at + 2).unchecked_view(); };
  vk::download(*gpu->shared_stream(), x.block().get(), x.block()->data(), halves(0), host.block().get());
  vk::download(*gpu->shared_stream(), y.block().get(), y.block()->data(), halves(2), host.block().get());
  CHECK(host.view()(0) == 1.f);
  CHECK(host.view()(1) == 2.f);
  CHECK(host.view()(2) == 3.f);
  CHECK(host.view()(3) == 4.f);
}

TEST_CASE("a copy to the host that nobody reads ends with its tensors") {
  const Checked gpu;
  for (int i = 0; i < 10; ++i) {
    const auto x = to_device(*gpu, {1, 2, 3});
    auto host = empty<float>({3});
    vk::download(*gpu->shared_stream(), x.block().get(), x.block()->data(), host.mutable_view(), host.block().get());
  }
  gpu->synchronize();
  CHECK(gpu->gpu_memory_usage().in_use == 0);
}
