#include "cotenant/vulkan/stream.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../error_text.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::empty;
using cotenant::SharedTensor;
using cotenant::Vulkan;

namespace {
// f(f(…f(1)…)) with f(x) = 2 x + 1 is 2^(n+1) - 1, exact in float for n < 24.
float chain(const Vulkan& gpu, int steps) {
  SharedTensor<float, Vulkan> x = to_device(gpu, std::vector<float>(100, 1.f));
  for (int i = 0; i < steps; ++i) {
    const auto y = empty<float>({100}, gpu);
    twice_plus_one(gpu, x, y);
    x = y;  // what nobody else holds lives until the kernel has read it
  }
  return to_host(x)[99];
}
}  // namespace

TEST_CASE("kernels that depend on each other run in order, over many batches, in both ways of addressing") {
  for (bool descriptors : {false, true}) {
    auto options = checked_options(descriptors);
    options.batch = 7;
    const Checked gpu(options);
    CHECK(chain(*gpu, 23) == 16777215.f);
    gpu->synchronize();
    CHECK(gpu->gpu_memory_usage().in_use == 0);
  }
}

TEST_CASE("only kernels that share bytes are put in order") {
  const Checked gpu(checked_options(true));
  std::vector<SharedTensor<float, Vulkan>> in, out;
  for (int i = 0; i < 10; ++i) in.push_back(to_device(*gpu, {float(i)})), out.push_back(empty<float>({1}, *gpu));
  const auto& stream = *gpu->shared_stream();
  const std::size_t before = stream.barriers();
  for (std::size_t i = 0; i < 10; ++i) twice_plus_one(*gpu, in[i], out[i]);
  CHECK(stream.barriers() == before + 1);  // the uploads, once
  for (std::size_t i = 0; i < 10; ++i) twice_plus_one(*gpu, out[i], in[i]);
  CHECK(stream.barriers() == before + 2);
  for (std::size_t i = 0; i < 10; ++i) CHECK(to_host(in[i])[0] == 4.f * float(i) + 3.f);
}

TEST_CASE("parts of one tensor are told apart by their bytes") {
  const Checked gpu(checked_options(true));
  // From 256 bytes to 256 bytes: descriptors begin there on any device.
  const auto x = to_device(*gpu, std::vector<float>(1024, 1.f));
  gpu->synchronize();
  const auto& stream = *gpu->shared_stream();
  twice_plus_one(*gpu, x.slice(0, 0, 128), x.slice(0, 512, 640));
  const std::size_t before = stream.barriers();
  twice_plus_one(*gpu, x.slice(0, 128, 256), x.slice(0, 640, 768));
  CHECK(stream.barriers() == before);
  twice_plus_one(*gpu, x.slice(0, 550, 560), x.slice(0, 896, 906));
  CHECK(stream.barriers() == before + 1);
  const auto values = to_host(x);
  CHECK(values[639] == 3.f);
  CHECK(values[640] == 3.f);
  CHECK(values[900] == 7.f);
}

TEST_CASE("streams wait for each other where they share a tensor") {
  const Checked gpu;
  const Vulkan other = gpu->stream("other");
  SharedTensor<float, Vulkan> x = to_device(*gpu, std::vector<float>(100, 1.f));
  for (int i = 0; i < 20; ++i) {
    const auto y = empty<float>({100}, *gpu);
    twice_plus_one(i % 2 == 0 ? other : *gpu, x, y);
    x = y;
  }
  CHECK(to_host(x)[7] == 2097151.f);
  // One reads while the other is told to write over it.
  const auto source = to_device(*gpu, std::vector<float>(100, 5.f)), seen = empty<float>({100}, other);
  twice_plus_one(other, source, seen);
  twice_plus_one(*gpu, x, source);
  CHECK(to_host(seen)[0] == 11.f);
}

TEST_CASE("a stream whose results only others read does not keep what is done") {
  const Checked gpu;
  const Vulkan producer = gpu->stream("producer");
  for (int i = 0; i < 40; ++i) {
    const auto x = to_device(producer, {1}), y = cotenant::empty<float>({1}, producer), z = cotenant::empty<float>({1}, *gpu);
    twice_plus_one(producer, x, y);
    twice_plus_one(*gpu, y, z);
    REQUIRE(to_host(z)[0] == 7.f);
  }
  CHECK(gpu->gpu_memory_usage().tensors < 40);
}

TEST_CASE("what follows a point of another stream waits for it, and nothing else does"){
  const Checked gpu;
  const Vulkan other = gpu->stream("other");
  const auto x = to_device(*gpu, {1.f}), y = empty<float>({1}, *gpu), z = to_device(other, {5.f}), w = empty<float>({1}, other);
  vk::Stream &first = *gpu->shared_stream(), &second = *other.shared_stream();
  gpu->synchronize();
  twice_plus_one(*gpu, x, y);
  const std::uint64_t point = first.queued();
  first.flush();
  const std::size_t before = second.waits();
  twice_plus_one(other, z, w);
  second.flush();
  CHECK(second.waits() == before);
  second.follow({gpu->shared_stream(), point});
  twice_plus_one(other, w, z);
  second.flush();
  CHECK(second.waits() == before + 1);
  second.finish();
  CHECK(first.timeline().reached(point));
  CHECK(to_host(z)[0] == 23.f);
}

TEST_CASE("a copy says where the timeline will be when it is done: who waits for it waits for nothing that is still being recorded") {
  const Checked gpu;
  const auto x = to_device(*gpu, {5.f}), y = empty<float>({1}, *gpu), z = empty<float>({1}, *gpu);
  gpu->synchronize();
  vk::Stream& stream = *gpu->shared_stream();
  const auto copy = [&](const SharedTensor<float, Vulkan>& from, const SharedTensor<float, Vulkan>& to) {
    const vk::MemoryPool& memory = stream.device().memory();
    return stream.copy({from.block().get(), from.block()->data(), sizeof(float), vk::Access::read}, memory.find(from.block()->data()),
                       {to.block().get(), to.block()->data(), sizeof(float), vk::Access::write}, memory.find(to.block()->data()), nullptr);
  };
  const std::uint64_t first = copy(x, y);
  stream.flush(first);
  const std::uint64_t second = copy(y, z);
  CHECK(second > first);
  CHECK(stream.queued() == second);
  stream.poll(first);
  CHECK(stream.timeline().reached(first));
  CHECK_FALSE(stream.timeline().reached(second));
  CHECK(to_host(z)[0] == 5.f);
}

TEST_CASE("many threads on one stream and on many") {
  const Checked gpu;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const Vulkan mine = t % 2 == 0 ? *gpu : gpu->stream("tenant " + std::to_string(t));
      for (int round = 0; round < 5; ++round) right += chain(mine, 10 + t) == float((1 << (11 + t)) - 1);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 30);
  gpu->synchronize();
  CHECK(gpu->gpu_memory_usage().in_use == 0);
}

TEST_CASE("work that the driver has no memory to take stays, and goes at the next attempt") {
  auto options = checked_options();
  options.faults = std::make_shared<vk::Faults>();
  const Checked gpu(options);
  const auto x = to_device(*gpu, {1}), y = empty<float>({1}, *gpu);
  gpu->synchronize();
  twice_plus_one(*gpu, x, y);
  options.faults->fail(vk::Step::submit, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK(has(message([&] { gpu->synchronize(); }), "out_of_memory"));
  CHECK(to_host(y)[0] == 3.f);
  for (const auto step : {vk::Step::record}) {
    options.faults->fail(step, VK_ERROR_OUT_OF_HOST_MEMORY);
    CHECK(has(message([&] { twice_plus_one(*gpu, x, y); }), "out_of_memory"));
    twice_plus_one(*gpu, y, y);
    CHECK(to_host(y)[0] > 3.f);
  }
}

TEST_CASE("a lost device says so at every call, and what the host has goes on") {
  for (const auto step : {vk::Step::submit, vk::Step::wait}) {
    auto options = checked_options();
    options.faults = std::make_shared<vk::Faults>();
    const Vulkan gpu = Vulkan::open(options);
    const std::vector<float> kept{1, 2, 3};
    const auto x = to_device(gpu, kept), y = empty<float>({3}, gpu);
    twice_plus_one(gpu, x, y);
    options.faults->fail(step, VK_ERROR_DEVICE_LOST);
    CHECK(has(message([&] { to_host(y); }), "device_lost"));
    CHECK(has(message([&] { to_host(x); }), "device_lost"));
    CHECK(has(message([&] { twice_plus_one(gpu, x, y); }), "device_lost"));
    CHECK(has(message([&] { static_cast<void>(empty<float>({3}, gpu)); }), "device_lost"));
    CHECK(has(message([&] { gpu.synchronize(); }), "device_lost"));
    const Checked again;
    const auto z = to_device(*again, kept), w = empty<float>({3}, *again);
    twice_plus_one(*again, z, w);
    CHECK(to_host(w)[2] == 7.f);
  }
}
