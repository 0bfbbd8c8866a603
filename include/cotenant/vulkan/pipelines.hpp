// Pipelines: one compiled kernel per key, made when it is first launched and kept on disk between runs.
#ifndef COTENANT_VULKAN_PIPELINES_HPP
#define COTENANT_VULKAN_PIPELINES_HPP
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cotenant/share/attempt.hpp"
#include "cotenant/vulkan/cache_file.hpp"
#include "cotenant/vulkan/device_statistics.hpp"
#include "cotenant/vulkan/driver.hpp"

namespace cotenant::vulkan {

struct Pipeline {
  VkPipeline handle = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout bindings = VK_NULL_HANDLE;  // descriptors only
};

class Pipelines {
 public:
  Pipelines(Driver& driver, const VulkanOptions& options) : driver_(driver), addressing_(options.addressing) {
    const std::string folder = cache_folder(options.cache_folder);
    if (!folder.empty()) path_ = folder + "/" + cache_file_name("vulkan", driver.capabilities());
    const std::vector<unsigned char> stored = path_.empty() ? std::vector<unsigned char>() : cache_file::read(path_);
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = stored.size();
    info.pInitialData = stored.data();
    statistics_.cached_bytes = stored.size();
    if (vkCreatePipelineCache(driver.handle(), &info, nullptr, &cache_) < 0) cache_ = VK_NULL_HANDLE;  // slower, no less right
  }
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;
  ~Pipelines() {
    save();
    forget();
    if (cache_ != VK_NULL_HANDLE) vkDestroyPipelineCache(driver_.handle(), cache_, nullptr);
    for (const Pipeline& layout : layouts_) {
      vkDestroyPipelineLayout(driver_.handle(), layout.layout, nullptr);
      if (layout.bindings != VK_NULL_HANDLE) vkDestroyDescriptorSetLayout(driver_.handle(), layout.bindings, nullptr);
    }
  }

  // Calls f(pipeline) with the pipeline of launch.key, which no clear() destroys before f returns; `emit` gives its SPIR-V where it is not
  // there yet. One thread makes it, others wait. Errors: those of emit and f, Unsupported, OutOfMemory, DeviceLost.
  template <class F> void use(const Launch& launch, const Emitter& emit, const F& f) {
    for (;; make(launch, emit)) {
      const std::shared_lock lock(mutex_);
      const auto found = pipelines_.find(launch.key);
      if (found != pipelines_.end() && found->second.handle != VK_NULL_HANDLE) return f(found->second);
    }
  }

  // Writes what the driver compiled to the disk. False where there is nothing new or nowhere to write to.
  bool save() noexcept {
    const std::unique_lock lock(mutex_);
    if (!unsaved_ || path_.empty() || cache_ == VK_NULL_HANDLE || driver_.lost()) return false;
    std::size_t bytes = 0;
    if (vkGetPipelineCacheData(driver_.handle(), cache_, &bytes, nullptr) < 0) return false;
    std::vector<unsigned char> content(bytes);
    if (vkGetPipelineCacheData(driver_.handle(), cache_, &bytes, content.data()) < 0) return false;
    content.resize(bytes);
    unsaved_ = false;
    return cache_file::write(path_, content);
  }
  // Forgets every pipeline; finish() returns when no work that was launched uses one. Nobody launches meanwhile. Errors: those of finish.
  template <class Finish> void clear(const Finish& finish) {
    const std::unique_lock lock(mutex_);
    finish();
    forget();
  }
  KernelStatistics statistics() const {
    const std::shared_lock lock(mutex_);
    return statistics_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  // Those that some thread is making stay its own.
  void forget() noexcept {
    for (auto entry = pipelines_.begin(); entry != pipelines_.end();) {
      if (entry->second.handle == VK_NULL_HANDLE) ++entry;
      else vkDestroyPipeline(driver_.handle(), entry->second.handle, nullptr), entry = pipelines_.erase(entry);
    }
  }

  // Makes the pipeline of launch.key, or waits for a thread that is at it. Errors: as use().
  void make(const Launch& launch, const Emitter& emit) {
    const std::string key(launch.key);
    {
      std::unique_lock lock(mutex_);
      const auto [entry, is_mine] = pipelines_.emplace(key, Pipeline{});
      if (!is_mine) {
        if (entry->second.handle == VK_NULL_HANDLE) made_.wait(lock);
        return;
      }
    }
    Pipeline pipeline;
    std::exception_ptr failure;
    double emitted = 0, compiled = 0;
    cotenant::detail::attempt(failure, [&] {
      const auto begin = Clock::now();
      const std::vector<std::uint32_t> words = emit({driver_.capabilities(), addressing_});
      const auto between = Clock::now();
      pipeline = compile(launch, words);
      emitted = seconds(between - begin), compiled = seconds(Clock::now() - between);
    });
    {
      const std::unique_lock lock(mutex_);
      if (failure) {
        pipelines_.erase(key);
      } else {
        pipelines_[key] = pipeline;
        ++statistics_.kernels, statistics_.emit_seconds += emitted, statistics_.compile_seconds += compiled;
        unsaved_ = true;
      }
    }
    made_.notify_all();
    cotenant::detail::throw_again(failure);
  }

  // With descriptors a layout per number of bindings, else one for all.
  Pipeline layout_for(const Launch& launch) {
    const bool described = launch.foreign || addressing_ == Addressing::descriptors, block = launch.parameter_bytes() > max_push_constants;
    const std::size_t bindings = described ? launch.buffers.size() + (block ? 1 : 0) : 0;
    const std::unique_lock lock(mutex_);
    if (layouts_.size() <= bindings) layouts_.resize(bindings + 1);
    Pipeline& layout = layouts_[bindings];
    if (layout.layout != VK_NULL_HANDLE) return layout;
    VkPipelineLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    if (described) {
      std::vector<VkDescriptorSetLayoutBinding> all(bindings);
      for (std::uint32_t i = 0; i < bindings; ++i) {
        all[i].binding = i;
        all[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        all[i].descriptorCount = 1;
        all[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
      }
      VkDescriptorSetLayoutCreateInfo set{};
      set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
      set.bindingCount = static_cast<std::uint32_t>(bindings);
      set.pBindings = all.data();
      if (layout.bindings == VK_NULL_HANDLE)
        driver_.require(Step::create_pipeline, [&] { return vkCreateDescriptorSetLayout(driver_.handle(), &set, nullptr, &layout.bindings); },
            [] { return "describing a kernel's buffers"; });
      info.setLayoutCount = 1;
      info.pSetLayouts = &layout.bindings;
    }
    VkPushConstantRange range{};
    range.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    range.size = max_push_constants;
    info.pushConstantRangeCount = 1;
    info.pPushConstantRanges = &range;
    driver_.require(Step::create_pipeline, [&] { return vkCreatePipelineLayout(driver_.handle(), &info, nullptr, &layout.layout); },
        [] { return "describing a kernel's parameters"; });
    return layout;
  }

  Pipeline compile(const Launch& launch, std::span<const std::uint32_t> words) {
    Pipeline result = layout_for(launch);
    const auto what = [&] { return "compiling the kernel '" + std::string(launch.key) + "'"; };
    VkShaderModuleCreateInfo code{};
    code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    code.codeSize = words.size_bytes();
    code.pCode = words.data();
    VkShaderModule shader = VK_NULL_HANDLE;
    driver_.require(Step::create_shader, [&] { return vkCreateShaderModule(driver_.handle(), &code, nullptr, &shader); }, what);
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
    subgroup.requiredSubgroupSize = launch.subgroup_size;
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = shader;
    info.stage.pName = launch.entry_point;
    std::vector<VkSpecializationMapEntry> entries;
    for (std::uint32_t i = 0; i < launch.constants.size(); ++i) entries.push_back({launch.constants[i][0], static_cast<std::uint32_t>(i * 8 + 4), 4});
    const VkSpecializationInfo constants{static_cast<std::uint32_t>(entries.size()), entries.data(), launch.constants.size_bytes(), launch.constants.data()};
    if (!entries.empty()) info.stage.pSpecializationInfo = &constants;
    if (launch.subgroup_size != 0 && driver_.capabilities().subgroup_size_control) {
      info.stage.pNext = &subgroup;
      info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    }
    info.layout = result.layout;
    const VkResult made = driver_.call(Step::create_pipeline,
        [&] { return vkCreateComputePipelines(driver_.handle(), cache_, 1, &info, nullptr, &result.handle); });
    vkDestroyShaderModule(driver_.handle(), shader, nullptr);
    if (made < 0) raise_result(made, what() + " on '" + driver_.capabilities().name + "'");
    return result;
  }

  Driver& driver_;
  Addressing addressing_;
  std::string path_;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  mutable std::shared_mutex mutex_;
  std::condition_variable_any made_;
  std::unordered_map<std::string, Pipeline, Hash, std::equal_to<>> pipelines_;  // without a handle: some thread is making it
  std::vector<Pipeline> layouts_;                                               // by the number of bindings
  KernelStatistics statistics_;
  bool unsaved_ = false;
};

}  // namespace cotenant::vulkan

#endif
