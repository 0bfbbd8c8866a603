// What CustomKernel checks of a module and of a call, and its run.
#ifndef COTENANT_VULKAN_CUSTOM_KERNEL_HPP
#define COTENANT_VULKAN_CUSTOM_KERNEL_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/core/config.hpp"
#include "cotenant/core/text.hpp"
#include "cotenant/vulkan/backend.hpp"
#include "cotenant/vulkan/custom_kernel_class.hpp"
#include "cotenant/vulkan/module_check.hpp"
#include "cotenant/vulkan/module_interface.hpp"

namespace cotenant {

namespace detail {
template <class X> std::string counts(const X& x) {
  return Text{x.inputs.size(), " inputs, ", x.outputs.size(), " outputs and ", x.scalars.size(), " scalars"}.string();
}
}  // namespace detail

template <class E> void CustomKernel::refuse(const Text& what) const {
  raise<E>("the custom kernel '" + options_.name + "' " + what.string());
}

COTENANT_VULKAN_INLINE CustomKernel::CustomKernel(Vulkan gpu, std::span<const std::uint32_t> spirv, CustomKernelOptions options)
    : gpu_(std::move(gpu)), words_(spirv.begin(), spirv.end()), options_(std::move(options)) {
  const auto interface = vulkan::ModuleInterface::read(words_, options_.entry_point);
  check_names();
  check_bindings(interface);
  check_limits(interface);
  static_cast<void>(vulkan::detail::ModuleCheck(words_));
  const std::uint64_t checksum = vulkan::cache_file::checksum(words_.data(), words_.size() * 4);
  key_ = Text{"custom ", options_.entry_point, " ", words_.size(), " ", checksum}.string();
  for (const std::uint32_t extent : workgroup_) key_ += Text{" ", extent}.string();
}

COTENANT_VULKAN_INLINE KernelResults CustomKernel::run(const CustomRun& call) const {
  check_groups(call.groups);
  std::vector<vulkan::BufferArgument> buffers;
  std::vector<std::uint32_t> scalars;
  const auto given = [&](const auto& list, const std::string& name, const char* kind) -> const auto& {
    const auto found = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name == name; });
    if (found == list.end()) refuse<NotFound>({"needs the ", kind, " '", name, "', which was not given"});
    return *found;
  };
  if (call.inputs.size() != options_.inputs.size() || call.outputs.size() != options_.outputs.size() || call.scalars.size() != options_.scalars.size())
    refuse<InvalidArgument>({"takes ", detail::counts(options_), ", but was given ", detail::counts(call)});
  KernelResults results;
  for (const KernelArgument& argument : options_.inputs) {
    const KernelInput& input = given(call.inputs, argument.name, "input");
    if (input.dtype != argument.dtype)
      refuse<TypeError>({"takes ", to_string(argument.dtype), " as '", argument.name, "', but was given ", to_string(input.dtype)});
    const auto offset = static_cast<std::size_t>(input.bytes.layout().offset);
    buffers.push_back(argument_of(input.bytes.block(), offset, input.bytes.size(), argument.name, vulkan::Access::read));
  }
  for (const KernelArgument& argument : options_.outputs) {
    const KernelOutput& output = given(call.outputs, argument.name, "output");
    const std::size_t bytes = checked_multiply(element_count(output.shape), size_of(argument.dtype), "the number of bytes");
    const BlockRef block = Block::allocate(gpu_.result_storage(), bytes);
    results.results_[argument.name] = {argument.dtype, output.shape, block};
    buffers.push_back(argument_of(block, 0, bytes, argument.name, vulkan::Access::read_write));
  }
  for (const std::string& name : options_.scalars) scalars.push_back(given(call.scalars, name, "scalar").bits);
  vulkan::Launch launch{key_, buffers, scalars, call.groups};
  launch.foreign = true;
  launch.entry_point = options_.entry_point.c_str();
  launch.constants = constants_;
  gpu_.device().launch(*gpu_.shared_stream(), launch, [&](const vulkan::Target&) { return words_; });
  return results;
}

COTENANT_VULKAN_INLINE vulkan::BufferArgument CustomKernel::argument_of(const BlockRef& block, std::size_t offset, std::size_t bytes,
                                                                        const std::string& name, vulkan::Access access) const {
  const std::size_t most = gpu_.capabilities().max_storage_buffer_range;
  if (bytes > most) refuse<InvalidArgument>({"was given ", bytes, " bytes as '", name, "', but a buffer of this device has at most ", most});
  return {block.get(), static_cast<const char*>(block->data()) + offset, bytes, access};
}

COTENANT_VULKAN_INLINE void CustomKernel::check_names() const {
  std::vector<std::string> names = options_.scalars;
  for (const auto* list : {&options_.inputs, &options_.outputs})
    for (const KernelArgument& argument : *list) names.push_back(argument.name);
  std::sort(names.begin(), names.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) refuse<InvalidArgument>({"has an argument without a name"});
    if (i > 0 && names[i] == names[i - 1]) refuse<InvalidArgument>({"has two arguments called '", names[i], "'"});
  }
}

COTENANT_VULKAN_INLINE void CustomKernel::check_bindings(const vulkan::ModuleInterface& interface) const {
  const std::size_t inputs = options_.inputs.size(), count = inputs + options_.outputs.size();
  if (options_.outputs.empty()) refuse<InvalidArgument>({"has no output"});
  for (const auto& [binding, writes] : interface.bindings) {
    if (binding >= count)
      refuse<InvalidArgument>({"uses binding ", binding, ", but its ", count, " inputs and outputs are bindings 0 to ", count - 1});
    if (!writes && binding >= inputs)
      refuse<InvalidArgument>({"declares binding ", binding, " as read-only, but that is the output '", options_.outputs[binding - inputs].name, "'"});
  }
  for (std::size_t binding = inputs; binding < count; ++binding)
    if (interface.bindings.count(static_cast<std::uint32_t>(binding)) == 0)
      refuse<InvalidArgument>({"never names binding ", binding, ", its output '", options_.outputs[binding - inputs].name, "'"});
  for (const std::uint32_t binding : interface.written)
    if (binding < inputs)
      refuse<InvalidArgument>({"writes to binding ", binding, ", its input '", options_.inputs[binding].name,
                              "': others may be reading that; only outputs are written"});
  const std::size_t bytes = options_.scalars.size() * 4;
  if (interface.push_constant_bytes != bytes)
    refuse<InvalidArgument>({"has ", interface.push_constant_bytes, " bytes of push constants, but the ", options_.scalars.size(),
                             " scalars described take ", bytes});
  if (bytes > vulkan::max_push_constants)
    refuse<InvalidArgument>({"has more scalars than the ", vulkan::max_push_constants / 4, " that push constants hold"});
}

COTENANT_VULKAN_INLINE void CustomKernel::check_limits(const vulkan::ModuleInterface& interface) {
  const vulkan::Capabilities& device = gpu_.capabilities();
  const std::uint32_t newest = device.api_version >= VK_API_VERSION_1_3 ? vulkan::spirv::version(1, 6) : vulkan::spirv::version(1, 5);
  const auto minor = [](std::uint32_t version) { return version >> 8 & 0xff; };
  if (interface.version > newest)
    refuse<Unsupported>({"is SPIR-V 1.", minor(interface.version), ", but '", device.name, "' takes at most 1.", minor(newest)});
  for (const vulkan::spirv::Capability capability : interface.capabilities)
    if (!has(capability))
      refuse<Unsupported>({"needs the SPIR-V capability ", static_cast<std::uint32_t>(capability), ", which '", device.name,
                          "' does not have or this library does not enable"});
  if (interface.shared_bytes > device.shared_memory_bytes)
    refuse<InvalidArgument>({"uses ", interface.shared_bytes, " bytes of shared memory, but '", device.name, "' has ", device.shared_memory_bytes});
  workgroup_ = interface.workgroup;
  std::size_t invocations = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::uint32_t wanted = options_.workgroup[axis];
    if (wanted != 0 && wanted != workgroup_[axis]) {
      if (interface.workgroup_constants[axis] < 0)
        refuse<InvalidArgument>({"was described with a workgroup of ", wanted, " invocations along axis ", axis, ", but the module has ", workgroup_[axis],
                                " and no specialization constant to change that"});
      workgroup_[axis] = wanted;
      constants_.push_back({static_cast<std::uint32_t>(interface.workgroup_constants[axis]), wanted});
    }
    if (workgroup_[axis] > device.max_workgroup_size[axis])
      refuse<InvalidArgument>({"has a workgroup of ", workgroup_[axis], " along axis ", axis, ", but '", device.name, "' takes at most ",
                              device.max_workgroup_size[axis]});
    invocations *= workgroup_[axis];
  }
  if (invocations > device.max_workgroup_invocations)
    refuse<InvalidArgument>({"has ", invocations, " invocations in a workgroup, but '", device.name, "' takes at most ", device.max_workgroup_invocations});
}

COTENANT_VULKAN_INLINE void CustomKernel::check_groups(const std::array<std::uint32_t, 3>& groups) const {
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (groups[axis] == 0 || groups[axis] > gpu_.capabilities().max_workgroup_count[axis])
      refuse<InvalidArgument>({"was run with ", groups[axis], " workgroups along axis ", axis, "; this device takes 1 to ",
                              gpu_.capabilities().max_workgroup_count[axis]});
}

// Section 3.31 of the SPIR-V specification.
COTENANT_VULKAN_INLINE bool CustomKernel::has(vulkan::spirv::Capability capability) const {
  using enum vulkan::spirv::Capability;
  const vulkan::Capabilities& device = gpu_.capabilities();
  switch (capability) {
    case Matrix: case Shader: case GroupNonUniform: return true;
    case Float16: return device.shader_float16;
    case Float64: return device.shader_float64;
    case Int64: return device.shader_int64;
    case Int16: return device.shader_int16;
    case Int8: return device.shader_int8;
    case GroupNonUniformVote: case GroupNonUniformBallot: return device.subgroup_ballot;  // vote comes with ballot on every driver that has either
    case GroupNonUniformArithmetic: return device.subgroup_arithmetic;
    case GroupNonUniformShuffle: case GroupNonUniformShuffleRelative: return device.subgroup_shuffle;
    case StorageBuffer16BitAccess: case UniformAndStorageBuffer16BitAccess: return device.storage_16bit;
    case StorageBuffer8BitAccess: case UniformAndStorageBuffer8BitAccess: return device.storage_8bit;
    case DenormPreserve: return device.denormals_preserved_f32;
    case SignedZeroInfNanPreserve: return device.specials_preserved_f32;
    case RoundingModeRTE: return device.rounds_to_even_f32;
    case VulkanMemoryModel: return device.vulkan_memory_model;
    case DotProductInputAll: case DotProductInput4x8Bit: case DotProductInput4x8BitPacked: case DotProduct: return device.integer_dot_product;
    case CooperativeMatrixKHR: return device.cooperative_matrix;
    default: return false;
  }
}

}  // namespace cotenant

#endif
