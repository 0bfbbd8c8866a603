// The Vulkan backend as a fixture of the suite: with pointers and validation, and with descriptors and validation of every hazard.
// COTENANT_VULKAN_DEVICE chooses the device. COTENANT_TEST_VULKAN=plain leaves validation out, for machines without the layer.
#ifndef COTENANT_TESTS_BACKEND_VULKAN_FIXTURE_HPP
#define COTENANT_TESTS_BACKEND_VULKAN_FIXTURE_HPP
#include <cotenant/vulkan/backend.hpp>

#include <cstdlib>
#include <string>

#include "suite.hpp"

namespace cotenant::test {
struct VulkanFixture {
  using storage_type = Vulkan;

  static const Vulkan& storage() { return gpu(descriptors); }
  static std::string description() { return "vulkan '" + storage().capabilities().name + (descriptors ? "' with descriptors" : "' with pointers"); }
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
      const char* const chosen = std::getenv("COTENANT_TEST_VULKAN");
      const bool plain = chosen != nullptr && std::string(chosen) == "plain";
      VulkanOptions options;
      options.validation = !plain;
      options.synchronization_validation = !plain && by_descriptors;
      options.addressing = by_descriptors ? vulkan::Addressing::descriptors : vulkan::Addressing::pointers;
      options.zero_copy = false;
      return Vulkan::open(options);
    };
    static const Vulkan devices[2] = {open(false), open(true)};
    return devices[with_descriptors];
  }
  static inline bool descriptors = false;
};
}  // namespace cotenant::test

#endif
