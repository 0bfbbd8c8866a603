// Instance: the process's connection to the Vulkan loader, the devices behind it, and what validation said.
#ifndef COTENANT_VULKAN_INSTANCE_HPP
#define COTENANT_VULKAN_INSTANCE_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/vulkan/device_options.hpp"
#include "cotenant/vulkan/process.hpp"

namespace cotenant::vulkan {

// What the validation layer complained of.
class Messages {
 public:
  std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  // The first ones.
  std::vector<std::string> texts() const {
    const std::lock_guard lock(mutex_);
    return texts_;
  }
  void add(const char* text, bool log) {
    count_.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (texts_.size() < kept) texts_.emplace_back(text);
    if (log) std::fprintf(stderr, "cotenant: vulkan validation: %s\n", text);
  }

 private:
  static constexpr std::size_t kept = 32;  // enough to see what goes wrong; a loop may give thousands
  std::atomic<std::size_t> count_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
};

class Instance {
 public:
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance() {
    if (messenger_ != VK_NULL_HANDLE)
      if (const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(handle_, "vkDestroyDebugUtilsMessengerEXT")))
        destroy(handle_, messenger_, nullptr);
    if (handle_ != VK_NULL_HANDLE) vkDestroyInstance(handle_, nullptr);
  }

  // One instance per kind of validation, shared by the devices opened with it and kept until the process ends: drivers that are
  // unloaded and loaded again leak, and one was seen to crash at the end of the program. Errors: Unsupported.
  static std::shared_ptr<Instance> get(bool validation, bool synchronization, bool log) {
    if (Process::forked())
      raise<Unsupported>("this process was forked from one that had a GPU open, and no GPU works in such a child: fork before the first use of a GPU, start "
                         "another program (posix_spawn, exec), or compute on the CPU here");
    if (Process::ended_by_this_thread())
      raise<Unsupported>("the program ends, and Vulkan's drivers may have cleaned up: a static object that uses a GPU when it is destroyed must be made after "
                         "the GPU's first work");
    static std::mutex mutex;
    static auto& instances = *new std::array<std::shared_ptr<Instance>, 8>;
    const std::lock_guard lock(mutex);
    std::shared_ptr<Instance>& slot = instances[(validation ? 4u : 0u) + (synchronization ? 2u : 0u) + (log ? 1u : 0u)];
    if (!slot) slot = std::shared_ptr<Instance>(new Instance(validation, synchronization, log));
    return slot;
  }

  VkInstance handle() const noexcept { return handle_; }
  const Messages& messages() const noexcept { return messages_; }

  // In the driver's order. Devices below Vulkan 1.2 or without compute queues are left out. Errors: Unsupported where no driver is installed.
  std::vector<VkPhysicalDevice> devices() const {
    std::uint32_t count = 0;
    check(vkEnumeratePhysicalDevices(handle_, &count, nullptr), "listing Vulkan devices");
    std::vector<VkPhysicalDevice> all(count);
    if (count > 0) check(vkEnumeratePhysicalDevices(handle_, &count, all.data()), "listing Vulkan devices");
    all.resize(count);
    std::erase_if(all, [](VkPhysicalDevice device) { return properties(device).apiVersion < VK_API_VERSION_1_2 || compute_family(device) < 0; });
    return all;
  }

  static VkPhysicalDeviceProperties properties(VkPhysicalDevice device) {
    VkPhysicalDeviceProperties result;
    vkGetPhysicalDeviceProperties(device, &result);
    return result;
  }
  static std::vector<VkQueueFamilyProperties> families(VkPhysicalDevice device) {
    std::uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> result(count);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, result.data());
    return result;
  }
  // The family that only computes where there is one: the other may be drawing somebody's screen. -1: none computes.
  static int compute_family(VkPhysicalDevice device) {
    int found = -1;
    const auto all = families(device);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((all[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
      if ((all[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0) return static_cast<int>(i);
      if (found < 0) found = static_cast<int>(i);
    }
    return found;
  }
  // The family that only copies; -1: none.
  static int transfer_family(VkPhysicalDevice device) {
    constexpr VkQueueFlags also = VK_QUEUE_SPARSE_BINDING_BIT | VK_QUEUE_PROTECTED_BIT;
    const auto all = families(device);
    const auto found =
        std::find_if(all.begin(), all.end(), [](const VkQueueFamilyProperties& family) { return (family.queueFlags & ~also) == VK_QUEUE_TRANSFER_BIT; });
    return found == all.end() ? -1 : static_cast<int>(found - all.begin());
  }

  // The device that the options ask for. Errors: NotFound, which says what is there; Unsupported where there is none.
  VkPhysicalDevice choose(std::string wanted) const {
    if (wanted.empty())
      if (const char* const environment = std::getenv("COTENANT_VULKAN_DEVICE")) wanted = environment;
    const std::vector<VkPhysicalDevice> all = devices();
    if (all.empty()) raise<Unsupported>(no_driver);
    if (wanted.empty()) return *std::max_element(all.begin(), all.end(), [](VkPhysicalDevice a, VkPhysicalDevice b) { return rank(a) < rank(b); });
    const bool is_index = std::all_of(wanted.begin(), wanted.end(), [](unsigned char c) { return std::isdigit(c) != 0; }) && wanted.size() < 6;
    if (is_index && static_cast<std::size_t>(std::atoi(wanted.c_str())) < all.size()) return all[static_cast<std::size_t>(std::atoi(wanted.c_str()))];
    std::string there;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string name = properties(all[i]).deviceName;
      if (!is_index && lower(name).find(lower(wanted)) != std::string::npos) return all[i];
      there += (i == 0 ? "" : ", ") + std::to_string(i) + " '" + name + "'";
    }
    raise<NotFound>("no Vulkan device is '" + wanted + "'; there are: " + there +
        ". Give one of these indices or a part of a name (option device, or COTENANT_VULKAN_DEVICE)");
  }

  static constexpr const char* no_driver =
      "no Vulkan device is here: no driver of a GPU is installed for Vulkan 1.2 or newer. Install the GPU's driver, or mesa-vulkan-drivers for one that "
      "computes on the CPU; `vulkaninfo --summary` (vulkan-tools) lists what the loader finds. Until then compute on the CPU: leave out copy_to<Vulkan>(), or "
          "use with_best_backend";

 private:
  Instance(bool validation, bool synchronization, bool log) : log_(log) {
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pEngineName = "cotenant";
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    const char* const layer = "VK_LAYER_KHRONOS_validation";
    const char* const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkValidationFeatureEnableEXT enabled = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features{};
    features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = &enabled;
    VkDebugUtilsMessengerCreateInfoEXT messenger{};
    messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    messenger.pfnUserCallback = on_message;
    messenger.pUserData = this;
    if (validation) {
      if (!has_layer(layer))
        raise<Unsupported>("validation was asked for, but the layer VK_LAYER_KHRONOS_validation is not installed (Debian: vulkan-validationlayers)");
      info.enabledLayerCount = 1, info.ppEnabledLayerNames = &layer;
      info.enabledExtensionCount = 1, info.ppEnabledExtensionNames = &extension;
      if (synchronization) info.pNext = &features;
    }
    const VkResult result = vkCreateInstance(&info, nullptr, &handle_);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) raise<Unsupported>(no_driver);
    // The loader reports memory where it cannot read a driver's manifest, too.
    if (result < 0)
      raise<Unsupported>("starting Vulkan failed with " + to_string(result) + ": a driver's manifest (VK_DRIVER_FILES, or *.json in "
                         "/usr/share/vulkan/icd.d) or its library is damaged. VK_LOADER_DEBUG=error shows which; install the "
                         "driver anew, or compute on the CPU until then");
    if (!validation) return;
    const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(handle_, "vkCreateDebugUtilsMessengerEXT"));
    if (create != nullptr) check(create(handle_, &messenger, nullptr, &messenger_), "listening to Vulkan's validation");
  }

  static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                                   const VkDebugUtilsMessengerCallbackDataEXT* data, void* self) {
    const auto instance = static_cast<Instance*>(self);
    instance->messages_.add(data->pMessage, instance->log_);
    return VK_FALSE;
  }
  static bool has_layer(std::string_view wanted) {
    std::uint32_t count = 0;
    vkEnumerateInstanceLayerProperties(&count, nullptr);
    std::vector<VkLayerProperties> layers(count);
    vkEnumerateInstanceLayerProperties(&count, layers.data());
    return std::any_of(layers.begin(), layers.end(), [&](const VkLayerProperties& layer) { return wanted == layer.layerName; });
  }
  static int rank(VkPhysicalDevice device) {
    switch (properties(device).deviceType) {
      case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 4;
      case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 3;
      case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
      case VK_PHYSICAL_DEVICE_TYPE_CPU: return 1;
      default: return 0;
    }
  }
  static std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  }

  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  bool log_;
  Messages messages_;
};

}  // namespace cotenant::vulkan

#endif
