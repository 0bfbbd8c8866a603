// The Vulkan backend as a fixture of the suite: with pointers and validation, and with descriptors and validation of every hazard.
// COTENANT_VULKAN_DEVICE chooses the device. COTENANT_TEST_VULKAN: see ../vulkan/checked_options.hpp.
#ifndef COTENANT_TESTS_BACKEND_VULKAN_FIXTURE_HPP
#define COTENANT_TESTS_BACKEND_VULKAN_FIXTURE_HPP
#include <cotenant/vulkan.hpp>

#include <array>
#include <string>

#include "../vulkan/checked_options.hpp"
#include "suite.hpp"

namespace cotenant::test {
struct VulkanFixture {
  using storage_type = Vulkan;

  static const Vulkan& storage() { return gpu(descriptors); }
  static std::string description() { return "vulkan '" + storage().capabilities().name + (descriptors ? "' with descriptors" : "' with pointers"); }
  // Cooperative matrices multiply elements of 16 bits.
  static bool rounds_weights() { return storage().capabilities().cooperative_matrix; }
  static bool computes(DType dtype) { return dtype != DType::i64 || storage().capabilities().shader_int64; }
  // A device that computes on the CPU spends nearly all of a suite's time on compiling: each round may bring kernels of its own. A
  // sanitizer watches the host, and no kernel: every case is enough for it once or twice.
  static std::size_t rounds(std::size_t asked) {
    if (storage().capabilities().type != vulkan::DeviceType::software && !COTENANT_ADDRESS_SANITIZER) return asked;
    const std::size_t share = COTENANT_ADDRESS_SANITIZER ? 8 : 3;
    return (asked + share - 1) / share;
  }
  template <class F> static void for_each_configuration(F f) {
    for (const bool with_descriptors : {false, true}) {
      descriptors = with_descriptors;
      const std::size_t before = storage().validation_messages();
      f();
      storage().synchronize();
      if (storage().validation_messages() != before) FAIL(description() << ": " << storage().validation_texts().back());
    }
  }

 private:
  static const Vulkan& gpu(bool with_descriptors) {
    const auto open = [](bool by_descriptors) {
      VulkanOptions options = checked_options(by_descriptors);
      options.cache_folder = {};  // hundreds of kernels: kept on the disk for the next run
      return Vulkan::open(options);
    };
    // Kept for good: at the end of a program a validation layer's own static objects may be gone before these would be.
    static const auto& devices = *new std::array<Vulkan, 2>{open(false), open(true)};
    return devices[with_descriptors];
  }
  static inline bool descriptors = false;
};
}  // namespace cotenant::test

#endif
