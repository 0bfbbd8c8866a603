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
