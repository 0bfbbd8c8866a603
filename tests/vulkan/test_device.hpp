// Devices for tests: every call validated, both ways to address buffers, nothing kept on the disk.
#ifndef COTENANT_TESTS_VULKAN_TEST_DEVICE_HPP
#define COTENANT_TESTS_VULKAN_TEST_DEVICE_HPP
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "checked_options.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/staging.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant::test {

// Fails the test where validation complained of what the test did on the device.
class Checked {
 public:
  explicit Checked(const VulkanOptions& options = checked_options()) : gpu_(Vulkan::open(options)), before_(gpu_.validation_messages()) {}
  Checked(const Checked&) = delete;
  Checked& operator=(const Checked&) = delete;
  ~Checked() { CHECK(gpu_.validation_messages() == before_); }
  operator const Vulkan&() const { return gpu_; }
  const Vulkan* operator->() const { return &gpu_; }
  const Vulkan& operator*() const { return gpu_; }

 private:
  Vulkan gpu_;
  std::size_t before_;
};

// out = 2 in + 1, element by element.
inline void twice_plus_one(const Vulkan& gpu, const SharedTensor<float, Vulkan>& in, const SharedTensor<float, Vulkan>& out) {
  const auto count = static_cast<std::uint32_t>(in.size());
  const std::array<vulkan::BufferArgument, 2> buffers{
      vulkan::BufferArgument{in.block().get(), in.unchecked_view().data(), in.bytes(), vulkan::Access::read},
      vulkan::BufferArgument{out.block().get(), out.unchecked_view().data(), out.bytes(), vulkan::Access::write}};
  const std::array<std::uint32_t, 1> scalars{count};
  gpu.device().launch(*gpu.shared_stream(), {"test: twice plus one", buffers, scalars, {(count + 63) / 64, 1, 1}}, [](const vulkan::Target& target) {
    vulkan::KernelBuilder k(target, {.workgroup = 64});
    const auto x = k.buffer(k.f32()), y = k.buffer(k.f32());
    const auto n = k.scalar();
    const auto i = k.workgroup_id(0) * 64u + k.local_index();
    k.when(i < n, [&] { y.store(i, x.load(i) * 2.f + 1.f); });
    return k.finish();
  });
}

template <class T = float> SharedTensor<T, Vulkan> to_device(const Vulkan& gpu, const std::vector<T>& values) {
  const auto host = from(values, {values.size()});
  auto result = empty<T>({values.size()}, gpu);
  vulkan::upload(*gpu.shared_stream(), host.view(), result.block().get(), result.block()->data());
  return result;
}
template <class T> std::vector<T> to_host(const SharedTensor<T, Vulkan>& tensor) {
  auto host = empty<T>(tensor.shape());
  vulkan::download(*tensor.block()->template storage<Vulkan>().shared_stream(), tensor.block().get(), tensor.unchecked_view().data(), host.mutable_view(), host.block().get());
  const auto values = host.view().span();
  return {values.begin(), values.end()};
}

}  // namespace cotenant::test

#endif
