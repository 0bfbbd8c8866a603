// CustomKernel: a kernel that the user compiled to SPIR-V, run on tensors by name; what is checked is in custom_kernel.hpp.
#ifndef COTENANT_VULKAN_CUSTOM_KERNEL_CLASS_HPP
#define COTENANT_VULKAN_CUSTOM_KERNEL_CLASS_HPP
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/core/text.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/vulkan/backend_class.hpp"

namespace cotenant {

class TensorSharingManager;
namespace vulkan {
struct ModuleInterface;
struct BufferArgument;
enum class Access : std::uint8_t;
namespace spirv {
enum class Capability : std::uint32_t;
}
}  // namespace vulkan

// One tensor that a kernel reads or writes, as the user's code names it.
struct KernelArgument {
  std::string name;
  DType dtype = DType::f32;
};

struct CustomKernelOptions {
  std::string name = "kernel";  // in error messages
  std::string entry_point = "main";
  // Storage buffers of descriptor set 0: input i is binding i, output j is binding inputs.size() + j.
  std::vector<KernelArgument> inputs = {}, outputs = {};
  // Push constants of four bytes each, in this order from offset 0.
  std::vector<std::string> scalars = {};
  // Invocations of a workgroup; zeros: as the module says. Another size than the module's needs specialization constants for it.
  std::array<std::uint32_t, 3> workgroup{0, 0, 0};
};

// A scalar by name: float, std::int32_t or std::uint32_t.
struct KernelScalar {
  std::string name;
  std::uint32_t bits = 0;
  template <class T> requires(sizeof(T) == 4 && std::is_arithmetic_v<T>)
  KernelScalar(std::string scalar_name, T value) : name(std::move(scalar_name)) {
    std::memcpy(&bits, &value, 4);
  }
};
// An input by name, which the kernel only reads. Elements that do not lie row-major, or not where a buffer may begin, are copied first.
// Errors: InvalidArgument for a handle without a tensor, OutOfMemory, DeviceLost.
struct KernelInput {
  std::string name;
  DType dtype;
  SharedTensor<std::uint8_t, Vulkan> bytes;
  template <TensorLike X> requires std::same_as<storage_type_of<X>, Vulkan>
  KernelInput(std::string input_name, const X& tensor) : name(std::move(input_name)), dtype(dtype_of<element_type_of<X>>) {
    using T = element_type_of<X>;
    check_not_empty("a custom kernel", tensor);
    SharedTensor<T, Vulkan> plain = as_tensor(tensor).contiguous();
    const Vulkan& gpu = plain.block()->template storage<Vulkan>();
    const auto offset = static_cast<std::size_t>(plain.layout().offset) * sizeof(T);
    if (offset % gpu.capabilities().storage_buffer_alignment != 0) plain = plain.copy_to(gpu.result_storage());
    Layout layout = contiguous_layout({plain.bytes()});
    layout.offset = plain.layout().offset * static_cast<std::ptrdiff_t>(sizeof(T));
    bytes = SharedTensor<std::uint8_t, Vulkan>(plain.block(), layout);
  }
};
// An output by name: a new tensor of this shape, row-major, of the element type that was described. The kernel writes all of it: what it
// leaves out is undefined.
struct KernelOutput {
  std::string name;
  Shape shape;
};
// One run: an argument for each name of the description, in any order.
struct CustomRun {
  std::vector<KernelInput> inputs = {};
  std::vector<KernelOutput> outputs = {};
  std::vector<KernelScalar> scalars = {};
  std::array<std::uint32_t, 3> groups{1, 1, 1};  // workgroups along x, y and z; at least one
};

// What a run wrote, by name.
class KernelResults {
 public:
  // The output of that name, which may still be under way. Errors: NotFound where the kernel has none, TypeError for another element type.
  template <Element T> SharedTensor<T, Vulkan> get(std::string_view name) const {
    const Result& result = find(name);
    if (result.dtype != dtype_of<T>)
      raise<TypeError>(Text{"the output '", name, "' holds ", result.dtype, ", not ", dtype_of<T>});
    return SharedTensor<T, Vulkan>(result.block, contiguous_layout(result.shape));
  }
  // Registers every output under `prefix` + its name. Errors: those of register_tensor(). A template, so that only programs with a
  // manager include its header: parsing that takes as long as parsing the whole of this backend.
  template <std::same_as<TensorSharingManager> Manager>
  void register_with(Manager& manager, const std::string& prefix = {}, const TensorOptions& options = {}) const {
    for (const auto& [name, result] : results_)
      with_element(result.dtype, [&, &output = name]<class T>(std::type_identity<T>) {
        static_cast<void>(manager.register_tensor(prefix + output, get<T>(output), options));
      });
  }

 private:
  friend class CustomKernel;
  struct Result {
    DType dtype;
    Shape shape;
    BlockRef block;
  };
  const Result& find(std::string_view name) const {
    const auto found = results_.find(name);
    if (found == results_.end()) raise<NotFound>("the kernel has no output '" + std::string(name) + "'");
    return found->second;
  }
  std::map<std::string, Result, std::less<>> results_;
};

// Everything that can be read from the module and from the call is checked before the driver sees either. What the code does
// inside its buffers is the user's matter: a device does not check indices.
class CustomKernel {
 public:
  // Errors: InvalidArgument (no module, or another interface than described), Unsupported (the device lacks what it needs).
  CustomKernel(Vulkan gpu, std::span<const std::uint32_t> spirv, CustomKernelOptions options);

  const CustomKernelOptions& options() const noexcept { return options_; }
  const std::array<std::uint32_t, 3>& workgroup() const noexcept { return workgroup_; }

  // Queues one run; its outputs are new tensors of the shapes asked for. Errors: InvalidArgument, NotFound, TypeError, OutOfMemory, DeviceLost.
  KernelResults run(const CustomRun& call) const;

 private:
  template <class E> [[noreturn]] void refuse(const Text& what) const;
  vulkan::BufferArgument argument_of(const BlockRef& block, std::size_t offset, std::size_t bytes, const std::string& name, vulkan::Access access) const;
  void check_names() const;
  void check_bindings(const vulkan::ModuleInterface& interface) const;
  void check_limits(const vulkan::ModuleInterface& interface);
  void check_groups(const std::array<std::uint32_t, 3>& groups) const;
  bool has(vulkan::spirv::Capability capability) const;

  Vulkan gpu_;
  std::vector<std::uint32_t> words_;
  CustomKernelOptions options_;
  std::array<std::uint32_t, 3> workgroup_{};
  std::vector<std::array<std::uint32_t, 2>> constants_;
  std::string key_;
};

}  // namespace cotenant

#endif
