// Query: asks one physical device for its capabilities, and keeps the features and extensions that opening it asks for.
#ifndef COTENANT_VULKAN_QUERY_HPP
#define COTENANT_VULKAN_QUERY_HPP
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/vulkan/capabilities.hpp"
#include "cotenant/vulkan/instance.hpp"

namespace cotenant::vulkan {

class Query {
 public:
  Query(VkInstance instance, VkPhysicalDevice device) : device_(device) {
    const VkPhysicalDeviceProperties basic = Instance::properties(device);
    newest_ = basic.apiVersion >= VK_API_VERSION_1_3;
    list_extensions();
    ask_features();
    ask_properties();
    if (found_.cooperative_matrix) ask_matrix_shapes(instance);
    if (found_.cooperative_matrix2) ask_flexible_shapes(instance);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  const Capabilities& capabilities() const noexcept { return found_; }
  // Less than there is. Storage of small elements and large numbers are not asked of the device either, so that validation notices who uses them.
  void pretend(void (*change)(Capabilities&)) {
    change(found_);
    features_.features.shaderInt64 = features_.features.shaderInt64 != 0 && found_.shader_int64;
    features_.features.shaderFloat64 = features_.features.shaderFloat64 != 0 && found_.shader_float64;
    core11_.storageBuffer16BitAccess = core11_.storageBuffer16BitAccess != 0 && found_.storage_16bit;
    core12_.storageBuffer8BitAccess = core12_.storageBuffer8BitAccess != 0 && found_.storage_8bit;
    core11_.uniformAndStorageBuffer16BitAccess = core11_.uniformAndStorageBuffer16BitAccess != 0 && found_.storage_16bit;
    core12_.uniformAndStorageBuffer8BitAccess = core12_.uniformAndStorageBuffer8BitAccess != 0 && found_.storage_8bit;
  }
  // For VkDeviceCreateInfo; valid while this lives.
  const void* features() const noexcept { return &features_; }
  const std::vector<const char*>& extensions() const noexcept { return extensions_; }
  // What the backend cannot do without and the device lacks; null: nothing.
  const char* missing() const noexcept {
    if (core12_.bufferDeviceAddress == VK_FALSE) return "buffer device addresses";
    if (core12_.timelineSemaphore == VK_FALSE) return "timeline semaphores";
    return nullptr;
  }

 private:
  template <class T> static void link(void**& tail, T& next) {
    *tail = &next;
    tail = &next.pNext;
  }
  bool offers(std::string_view extension) const {
    return std::any_of(offered_.begin(), offered_.end(), [&](const VkExtensionProperties& one) { return extension == one.extensionName; });
  }
  bool want(const char* extension) {
    if (!offers(extension)) return false;
    extensions_.push_back(extension);
    return true;
  }
  void list_extensions() {
    std::uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(device_, nullptr, &count, nullptr);
    offered_.resize(count);
    vkEnumerateDeviceExtensionProperties(device_, nullptr, &count, offered_.data());
    offered_.resize(count);
  }

  void ask_features() {
    features_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    core11_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    core12_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    core13_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
    explicit_layout_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR;
    void** tail = &features_.pNext;
    link(tail, core11_);
    link(tail, core12_);
    if (newest_) link(tail, core13_);
    if (want("VK_KHR_cooperative_matrix")) link(tail, matrix_);
    if (want("VK_KHR_shader_bfloat16")) link(tail, bfloat16_);
    if (want("VK_NV_cooperative_matrix2")) link(tail, matrix2_);
    if (want("VK_KHR_workgroup_memory_explicit_layout")) link(tail, explicit_layout_);
    found_.host_import = want("VK_EXT_external_memory_host");
    found_.memory_budget = want("VK_EXT_memory_budget");
    vkGetPhysicalDeviceFeatures2(device_, &features_);
    // What is not used stays off: some of it costs speed.
    const VkPhysicalDeviceFeatures offered = features_.features;
    features_.features = {};
    features_.features.shaderInt16 = offered.shaderInt16;
    features_.features.shaderInt64 = offered.shaderInt64;
    features_.features.shaderFloat64 = offered.shaderFloat64;
    core11_.protectedMemory = core11_.multiview = core11_.multiviewGeometryShader = core11_.multiviewTessellationShader = VK_FALSE;
    core11_.samplerYcbcrConversion = core11_.shaderDrawParameters = VK_FALSE;
    core12_.bufferDeviceAddressCaptureReplay = core12_.bufferDeviceAddressMultiDevice = VK_FALSE;
    core13_.robustImageAccess = core13_.inlineUniformBlock = core13_.privateData = core13_.dynamicRendering = VK_FALSE;
    matrix_.cooperativeMatrixRobustBufferAccess = VK_FALSE;

    found_.shader_int16 = offered.shaderInt16 != 0;
    found_.shader_int64 = offered.shaderInt64 != 0;
    found_.shader_float64 = offered.shaderFloat64 != 0;
    found_.storage_16bit = core11_.storageBuffer16BitAccess != 0;
    found_.storage_8bit = core12_.storageBuffer8BitAccess != 0;
    found_.shader_int8 = core12_.shaderInt8 != 0;
    found_.shader_float16 = core12_.shaderFloat16 != 0;
    found_.vulkan_memory_model = core12_.vulkanMemoryModel != 0;
    found_.subgroup_size_control = core13_.subgroupSizeControl != 0 && core13_.computeFullSubgroups != 0;
    found_.synchronization2 = core13_.synchronization2 != 0;
    found_.integer_dot_product = core13_.shaderIntegerDotProduct != 0;
    found_.zero_initialize_shared_memory = core13_.shaderZeroInitializeWorkgroupMemory != 0;
    found_.workgroup_layout_explicit = explicit_layout_.workgroupMemoryExplicitLayout != 0;
    found_.bfloat16 = bfloat16_.shaderBFloat16Type != 0;
    found_.bfloat16_cooperative_matrix = bfloat16_.shaderBFloat16CooperativeMatrix != 0;
    found_.cooperative_matrix = matrix_.cooperativeMatrix != 0;
    found_.cooperative_matrix2 =
        matrix2_.cooperativeMatrixWorkgroupScope != 0 && matrix2_.cooperativeMatrixFlexibleDimensions != 0 && matrix2_.cooperativeMatrixTensorAddressing != 0;
    found_.cooperative_matrix2_reductions = matrix2_.cooperativeMatrixReductions != 0;
    found_.cooperative_matrix2_conversions = matrix2_.cooperativeMatrixConversions != 0;
    found_.cooperative_matrix2_per_element = matrix2_.cooperativeMatrixPerElementOperations != 0;
    found_.cooperative_matrix2_block_loads = matrix2_.cooperativeMatrixBlockLoads != 0;
  }

  void ask_properties() {
    VkPhysicalDeviceProperties2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    VkPhysicalDeviceVulkan11Properties core11{};
    core11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    VkPhysicalDeviceVulkan12Properties core12{};
    core12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    VkPhysicalDeviceVulkan13Properties core13{};
    core13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host{};
    host.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV multiprocessors{};
    multiprocessors.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV;
    newer::CooperativeMatrix2Properties matrix2;
    void** tail = &all.pNext;
    link(tail, core11);
    link(tail, core12);
    if (newest_) link(tail, core13);
    if (found_.host_import) link(tail, host);
    if (offers("VK_NV_shader_sm_builtins")) link(tail, multiprocessors);
    if (found_.cooperative_matrix2) link(tail, matrix2);
    vkGetPhysicalDeviceProperties2(device_, &all);
    const VkPhysicalDeviceProperties& basic = all.properties;
    const VkPhysicalDeviceLimits& limits = basic.limits;

    found_.name = basic.deviceName;
    found_.driver = std::string(core12.driverName) + " " + core12.driverInfo;
    found_.vendor = basic.vendorID, found_.device = basic.deviceID;
    found_.api_version = std::min<std::uint32_t>(basic.apiVersion, VK_API_VERSION_1_3), found_.driver_version = basic.driverVersion;
    std::memcpy(found_.device_uuid.data(), core11.deviceUUID, VK_UUID_SIZE);
    std::memcpy(found_.driver_uuid.data(), core11.driverUUID, VK_UUID_SIZE);
    std::memcpy(found_.pipeline_cache_uuid.data(), basic.pipelineCacheUUID, VK_UUID_SIZE);
    switch (basic.deviceType) {
      case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: found_.type = DeviceType::discrete; break;
      case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: found_.type = DeviceType::integrated; break;
      case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: found_.type = DeviceType::virtual_gpu; break;
      case VK_PHYSICAL_DEVICE_TYPE_CPU: found_.type = DeviceType::software; break;
      default: break;
    }
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(device_, &memory);
    found_.unified_memory = true;
    for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i)
      if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
        found_.device_memory = std::max<std::size_t>(found_.device_memory, memory.memoryHeaps[i].size);
      else found_.unified_memory = false;
    found_.max_allocation = core11.maxMemoryAllocationSize;
    found_.max_allocations = limits.maxMemoryAllocationCount;
    found_.max_storage_buffers = std::min({limits.maxPerStageDescriptorStorageBuffers, limits.maxDescriptorSetStorageBuffers, limits.maxPerStageResources});
    found_.max_storage_buffer_range = limits.maxStorageBufferRange;
    found_.storage_buffer_alignment = std::max<std::size_t>(16, limits.minStorageBufferOffsetAlignment);
    found_.host_import_alignment = host.minImportedHostPointerAlignment;
    const auto families = Instance::families(device_);
    const int compute = Instance::compute_family(device_);
    if (compute >= 0) {
      const VkQueueFamilyProperties& family = families[static_cast<std::size_t>(compute)];
      found_.queues = family.queueCount;
      found_.timestamp_period = family.timestampValidBits == 0 ? 0 : static_cast<double>(limits.timestampPeriod);
    }
    if (const int copying = Instance::transfer_family(device_); copying >= 0) found_.transfer_queues = families[static_cast<std::size_t>(copying)].queueCount;
    found_.subgroup_size = core11.subgroupSize;
    found_.min_subgroup_size = newest_ ? core13.minSubgroupSize : core11.subgroupSize;
    found_.max_subgroup_size = newest_ ? core13.maxSubgroupSize : core11.subgroupSize;
    if ((core11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
      found_.subgroup_arithmetic = (core11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
      found_.subgroup_shuffle = (core11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
      found_.subgroup_ballot = (core11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT) != 0;
    }
    found_.shared_memory_bytes = limits.maxComputeSharedMemorySize;
    found_.push_constant_bytes = limits.maxPushConstantsSize;
    found_.max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
    for (std::size_t i = 0; i < 3; ++i)
      found_.max_workgroup_size[i] = limits.maxComputeWorkGroupSize[i], found_.max_workgroup_count[i] = limits.maxComputeWorkGroupCount[i];
    found_.multiprocessors = multiprocessors.shaderSMCount;
    found_.fuses_multiply_add = found_.type != DeviceType::software;
    found_.denormals_preserved_f32 = core12.shaderDenormPreserveFloat32 != 0;
    found_.denormals_preserved_f16 = core12.shaderDenormPreserveFloat16 != 0;
    found_.specials_preserved_f32 = core12.shaderSignedZeroInfNanPreserveFloat32 != 0;
    found_.specials_preserved_f16 = core12.shaderSignedZeroInfNanPreserveFloat16 != 0;
    found_.rounds_to_even_f32 = core12.shaderRoundingModeRTEFloat32 != 0;
    found_.rounds_to_even_f16 = core12.shaderRoundingModeRTEFloat16 != 0;
    found_.cooperative_matrix2_max_workgroup = matrix2.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize;
    found_.cooperative_matrix2_max_dimension = matrix2.cooperativeMatrixFlexibleDimensionsMaxDimension;
    found_.cooperative_matrix2_reserved_shared = matrix2.cooperativeMatrixWorkgroupScopeReservedSharedMemory;
  }

  void ask_matrix_shapes(VkInstance instance) {
    const auto ask =
        reinterpret_cast<newer::GetCooperativeMatrixProperties>(vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    std::uint32_t count = 0;
    if (ask == nullptr || ask(device_, &count, nullptr) < 0) return;
    std::vector<newer::CooperativeMatrixProperties> shapes(count);
    if (ask(device_, &count, shapes.data()) < 0) return;
    for (const auto& shape : shapes)
      found_.matrix_shapes.push_back({shape.MSize, shape.NSize, shape.KSize, ComponentType{shape.AType}, ComponentType{shape.BType}, ComponentType{shape.CType},
                                      ComponentType{shape.ResultType}, shape.saturatingAccumulation != 0, shape.scope});
  }
  void ask_flexible_shapes(VkInstance instance) {
    const auto ask = reinterpret_cast<newer::GetFlexibleDimensionsProperties>(
        vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"));
    std::uint32_t count = 0;
    if (ask == nullptr || ask(device_, &count, nullptr) < 0) return;
    std::vector<newer::FlexibleDimensionsProperties> shapes(count);
    if (ask(device_, &count, shapes.data()) < 0) return;
    for (const auto& shape : shapes)
      found_.flexible_shapes.push_back({shape.MGranularity, shape.NGranularity, shape.KGranularity, ComponentType{shape.AType}, ComponentType{shape.BType},
                                        ComponentType{shape.CType}, ComponentType{shape.ResultType}, shape.saturatingAccumulation != 0, shape.scope,
                                        shape.workgroupInvocations});
  }

  VkPhysicalDevice device_;
  bool newest_ = false;
  std::vector<VkExtensionProperties> offered_;
  std::vector<const char*> extensions_;
  VkPhysicalDeviceFeatures2 features_{};
  VkPhysicalDeviceVulkan11Features core11_{};
  VkPhysicalDeviceVulkan12Features core12_{};
  VkPhysicalDeviceVulkan13Features core13_{};
  VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR explicit_layout_{};
  newer::CooperativeMatrixFeatures matrix_;
  newer::Bfloat16Features bfloat16_;
  newer::CooperativeMatrix2Features matrix2_;
  Capabilities found_;
};

}  // namespace cotenant::vulkan

#endif
