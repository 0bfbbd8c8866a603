// VulkanBackend: the backend of tensors on a GPU. Each op queues kernels on the stream of its first operand and returns.
#ifndef COTENANT_VULKAN_BACKEND_CLASS_HPP
#define COTENANT_VULKAN_BACKEND_CLASS_HPP
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "cotenant/ops/backend.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant {

// A handle on a stream, as Vulkan is. What each member does, and of what shapes: its argument struct in ops/, whose front doors have
// checked them. Errors of every op: InvalidArgument (operands of two devices), Unsupported (elements that the device cannot access, more
// than it reaches), OutOfMemory, DeviceLost; also those of work that was queued earlier.
class VulkanBackend {
 public:
  using storage_type = Vulkan;
  static constexpr bool runs_when_called = false;
  static constexpr std::string_view name() { return "vulkan"; }

  explicit VulkanBackend(std::shared_ptr<vulkan::Stream> stream) : stream_(std::move(stream)) {}
  // The default device's; nothing where this machine has none.
  static std::optional<VulkanBackend> create() {
    if (!Vulkan::available()) return {};
    return VulkanBackend(Vulkan().shared_stream());
  }
  Vulkan storage() const;
  // Errors: DeviceLost, OutOfMemory.
  void synchronize() const;

  template <class T> void copy(const CopyArguments<T>& a) const { vulkan::kernels::copy(*stream_, a); }
  template <class Out, class E, class... In> void map(const MapArguments<Out, E, In...>& a) const { vulkan::kernels::map(*stream_, a); }
  template <class A, class B, class Out, class E, class... Extra> void matmul(const MatmulArguments<A, B, Out, E, Extra...>& a) const {
    vulkan::kernels::matmul(*stream_, a);
  }
  template <class A, class B, class Out, class E, class... Extra> void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) const {
    vulkan::kernels::quantized_matmul(*stream_, a);
  }
  template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& a) const {
    vulkan::kernels::attention(*stream_, a);
  }
  template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& a) const { vulkan::kernels::softmax(*stream_, a); }
  template <class Kind, class In, class Out> void reduce(const ReduceArguments<Kind, In, Out>& a) const { vulkan::kernels::reduce(*stream_, a); }
  template <class T> void top_k(const TopKArguments<T>& a) const { vulkan::kernels::top_k(*stream_, a); }
  template <class In, class Residual, class P, class Sum, class Out> void norm(const NormArguments<In, Residual, P, Sum, Out>& a) const {
    vulkan::kernels::norm(*stream_, a);
  }
  template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& a) const { vulkan::kernels::rotary(*stream_, a); }
  template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& a) const { vulkan::kernels::gather(*stream_, a); }
  template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& a) const { vulkan::kernels::quantize(*stream_, a); }
  template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& a) const { vulkan::kernels::quantize(*stream_, a); }
  template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& a) const { vulkan::kernels::quantize(*stream_, a); }
  template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) const { vulkan::kernels::dynamic_quantize(*stream_, a); }

 private:
  std::shared_ptr<vulkan::Stream> stream_;
};

}  // namespace cotenant

#endif
