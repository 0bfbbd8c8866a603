#include "cotenant/vulkan/pinned.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "../error_text.hpp"
#include "cotenant/vulkan/backend.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

namespace {
SharedTensor<float, Pinned> pinned(const Vulkan& gpu, const std::vector<float>& values, const Shape& shape) {
  auto result = empty<float>(shape, Pinned(gpu));
  std::copy(values.begin(), values.end(), result.mutable_view().data());
  return result;
}
}  // namespace

TEST_CASE("pinned tensors go to the device and come back, of any size, in parts and by strides") {
  const Checked gpu;
  for (const std::size_t count : {std::size_t{1}, std::size_t{1000}, std::size_t{3} << 20}) {
    auto host = empty<float>({count}, Pinned(*gpu));
    std::iota(host.mutable_view().data(), host.mutable_view().data() + count, 0.f);
    const auto there = host.copy_to(*gpu);
    host.mutable_view()(0) = -1.f;  // the device has read it
    const auto back = there.copy_to(Pinned(*gpu));
    CHECK(back.view()(0) == 0.f);
    CHECK(back.view()(count - 1) == static_cast<float>(count - 1));
    CHECK(there.copy_to<Heap>().view()(count - 1) == static_cast<float>(count - 1));
  }
  const auto matrix = pinned(*gpu, {1, 2, 3, 4, 5, 6}, {2, 3});
  const auto turned = matrix.transpose(0, 1).copy_to(*gpu);
  CHECK(to_host(turned) == std::vector<float>{1, 4, 2, 5, 3, 6});
  const auto all = pinned(*gpu, std::vector<float>(12), {4, 3});
  copy_into(all.slice(0, 1, 3), matrix.copy_to(*gpu));
  CHECK(all.view()(0, 2) == 0.f);
  CHECK(all.view()(1, 0) == 1.f);
  CHECK(all.view()(2, 2) == 6.f);
}

TEST_CASE("copies between pinned tensors and the device have no part of the host's") {
  const Checked gpu;
  if (!gpu->capabilities().host_import) return;
  const std::size_t count = vulkan::large_copy / sizeof(float);
  auto host = empty<float>({count}, Pinned(*gpu));
  std::iota(host.mutable_view().data(), host.mutable_view().data() + count, 0.f);
  CHECK(gpu->gpu_memory_usage().imported >= vulkan::large_copy);
  vulkan::Stream& stream = *gpu->shared_stream();
  gpu->synchronize();
  // On the stream itself where the device is idle, else beside it.
  const auto &up = stream.copies(vulkan::Direction::to_device), &down = stream.copies(vulkan::Direction::to_host);
  const auto commands = [&] { return stream.commands() + up.commands() + down.commands(); };
  std::size_t before = commands();
  const auto one_more = [&] { return commands() == ++before; };
  const auto there = host.copy_to(*gpu);
  CHECK(one_more());  // through staging memory it would be four
  CHECK(gpu->device().idle());
  const auto back = there.copy_to(Pinned(*gpu));
  CHECK(one_more());
  CHECK(back.view()(count - 1) == static_cast<float>(count - 1));
  // A tensor of the heap whose pages are imported, and the import itself.
  const auto half = empty<float>({count}, *gpu);
  const auto ordinary = empty<float>({count});
  {
    const auto imported = gpu->import(ordinary);
    copy_into(ordinary, there);
    CHECK(one_more());
    CHECK(ordinary.view()(5) == 5.f);
    copy_into(half, imported);
    CHECK(one_more());
    CHECK(to_host(half)[count - 1] == static_cast<float>(count - 1));
  }
}

TEST_CASE("the device fetches pinned bytes by itself where it has nothing else to do, and they are taken when the copy returns") {
  const Checked gpu;
  if (!gpu->capabilities().host_import) return;
  const std::size_t count = vulkan::direct_copy / sizeof(float);
  auto host = pinned(*gpu, std::vector<float>(count, 1.f), {count});
  const auto there = empty<float>({count}, *gpu), other = empty<float>({count}, *gpu);
  gpu->synchronize();
  CHECK(gpu->device().idle());
  copy_into(there, host);
  CHECK(gpu->device().idle());
  host.mutable_view()(count - 1) = 2.f;
  CHECK(to_host(there) == std::vector<float>(count, 1.f));
  // Behind other work nobody waits: the bytes go through staging memory.
  map_into(other, [](auto x) { return x + 1.f; }, there);
  copy_into(there, host);
  host.mutable_view()(0) = 3.f;
  CHECK(to_host(there)[0] == 1.f);
  CHECK(to_host(there)[count - 1] == 2.f);
  CHECK(to_host(other) == std::vector<float>(count, 2.f));
}

TEST_CASE("a pinned tensor may go while the device still writes to it, and gives its pages back") {
  const Checked gpu;
  {
    const auto there = to_device(*gpu, std::vector<float>(vulkan::large_copy / 4, 2.f));
    for (int i = 0; i < 10; ++i) static_cast<void>(there.copy_to(Pinned(*gpu)));
  }
  gpu->synchronize();
  CHECK(gpu->gpu_memory_usage().imported == 0);
  CHECK(gpu->gpu_memory_usage().in_use == 0);
}

TEST_CASE("where the device cannot import, pinned memory is ordinary memory") {
  auto options = checked_options();
  options.pretend = [](vulkan::Capabilities& device) { device.host_import = false; };
  const Checked gpu(options);
  const auto host = pinned(*gpu, {1, 2}, {2});
  CHECK(gpu->gpu_memory_usage().imported == 0);
  CHECK(to_host(host.copy_to(*gpu)) == std::vector<float>{1, 2});
}

TEST_CASE("pages that cannot be pinned are an error, and nothing is left of them") {
  auto options = checked_options();
  options.faults = std::make_shared<vulkan::Faults>();
  const Checked gpu(options);
  if (!gpu->capabilities().host_import) return;
  options.faults->fail(vulkan::Step::import_memory, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK(has(message([&] { static_cast<void>(empty<float>({100}, Pinned(*gpu))); }), "out_of_memory"));
  CHECK(gpu->gpu_memory_usage().imported == 0);
  CHECK(empty<float>({100}, Pinned(*gpu)).size() == 100);
}
