#include "cotenant/vulkan/pipelines.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "../error_text.hpp"
#include "cache_folder.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::Vulkan;

namespace {
float three(const Vulkan& gpu) {
  const auto x = to_device(gpu, {1}), y = cotenant::empty<float>({1}, gpu);
  twice_plus_one(gpu, x, y);
  return to_host(y)[0];
}
}  // namespace

TEST_CASE("a kernel is made once, also when many threads want it at once") {
  const Checked gpu;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 6; ++i) threads.emplace_back([&] { right += three(*gpu) == 3.f; });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 6);
  CHECK(gpu->kernel_statistics().kernels == 1);
  CHECK(gpu->kernel_statistics().compile_seconds > 0);
  gpu->dispose();
  CHECK(three(*gpu) == 3.f);
  CHECK(gpu->kernel_statistics().kernels == 2);
}

TEST_CASE("kernels are forgotten beside threads that launch them") {
  const Checked gpu;
  std::atomic<int> left{3}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      const Vulkan mine = gpu->stream("thread " + std::to_string(t));
      for (int i = 0; i < 20; ++i) wrong += three(mine) != 3.f;
      --left;
    });
  while (left > 0) gpu->dispose();
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a kernel that cannot be made is an error for each who asks, and the next attempt is a new one") {
  auto options = checked_options();
  options.faults = std::make_shared<vk::Faults>();
  const Checked gpu(options);
  for (const auto step : {vk::Step::create_shader, vk::Step::create_pipeline, vk::Step::create_pipeline}) {
    options.faults->fail(step, VK_ERROR_OUT_OF_HOST_MEMORY);
    CHECK(has(message([&] { three(*gpu); }), "out_of_memory"));
  }
  CHECK(three(*gpu) == 3.f);
}

TEST_CASE("kernels are kept on the disk; a damaged file is ignored") {
  const CacheFolder folder;
  auto options = checked_options();
  options.cache_folder = folder.path;
  const auto run = [&] {
    const Checked gpu(options);
    CHECK(three(*gpu) == 3.f);
    return gpu->kernel_statistics().cached_bytes;
  };
  CHECK(run() == 0);
  CHECK(run() > 0);
  REQUIRE(std::filesystem::exists(folder.path));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path)) std::ofstream(entry.path(), std::ios::binary) << "no cache at all";
  CHECK(run() == 0);
  CHECK(run() > 0);
}
