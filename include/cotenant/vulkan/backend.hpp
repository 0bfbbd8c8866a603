// VulkanBackend: the backend of tensors on a GPU. Each op queues kernels on the stream of its first operand and returns.
#ifndef COTENANT_VULKAN_BACKEND_HPP
#define COTENANT_VULKAN_BACKEND_HPP
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "cotenant/ops/backend.hpp"
#include "cotenant/vulkan/kernels/attention.hpp"
#include "cotenant/vulkan/kernels/copy.hpp"
#include "cotenant/vulkan/kernels/dynamic_quantize.hpp"
#include "cotenant/vulkan/kernels/gather.hpp"
#include "cotenant/vulkan/kernels/map.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/kernels/norm.hpp"
#include "cotenant/vulkan/kernels/quantize.hpp"
#include "cotenant/vulkan/kernels/quantized_matmul.hpp"
#include "cotenant/vulkan/kernels/reduce.hpp"
#include "cotenant/vulkan/kernels/rotary.hpp"
#include "cotenant/vulkan/kernels/softmax.hpp"
#include "cotenant/vulkan/kernels/top_k.hpp"
#include "cotenant/vulkan/staging.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant {

// A handle on a stream, as Vulkan is. What each member does: its argument struct in ops/.
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
  Vulkan storage() const { return Vulkan(stream_->shared_from_this()); }
  // Errors: DeviceLost, OutOfMemory.
  void synchronize() const { device().finish(); }

  template <class T> void copy(const CopyArguments<T>& arguments) const {
    const auto& [in, out] = arguments;
    if (out.view.size() == 0) return;
    if (in.block->host_accessible()) copy_in(in.view, out);
    else if (out.block->host_accessible()) copy_out(in, out);
    else if (vulkan::lies_on(*out.block, device())) copy_on_device(arguments);
    else copy_across(arguments);
  }
  template <class Out, class E, class... In> void map(const MapArguments<Out, E, In...>& a) const { vulkan::kernels::map(device(), *stream_, a); }
  template <class A, class B, class Out, class E, class... Extra> void matmul(const MatmulArguments<A, B, Out, E, Extra...>& a) const {
    vulkan::kernels::matmul(device(), *stream_, a);
  }
  template <class A, class B, class Out, class E, class... Extra> void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) const {
    vulkan::kernels::quantized_matmul(device(), *stream_, a);
  }
  template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& a) const {
    vulkan::kernels::attention(device(), *stream_, a);
  }
  template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& a) const { vulkan::kernels::softmax(device(), *stream_, a); }
  template <class Kind, class In, class Out> void reduce(const ReduceArguments<Kind, In, Out>& a) const { vulkan::kernels::reduce(device(), *stream_, a); }
  template <class T> void top_k(const TopKArguments<T>& a) const { vulkan::kernels::top_k(device(), *stream_, a); }
  template <class In, class Residual, class P, class Sum, class Out> void norm(const NormArguments<In, Residual, P, Sum, Out>& a) const {
    vulkan::kernels::norm(device(), *stream_, a);
  }
  template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& a) const { vulkan::kernels::rotary(device(), *stream_, a); }
  template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& a) const { vulkan::kernels::gather(device(), *stream_, a); }
  template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& a) const { vulkan::kernels::quantize(device(), *stream_, a); }
  template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& a) const { vulkan::kernels::dequantize(device(), *stream_, a); }
  template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) const { vulkan::kernels::dynamic_quantize(device(), *stream_, a); }
  template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& a) const { vulkan::kernels::requantize(device(), *stream_, a); }

 private:
  vulkan::Device& device() const noexcept { return stream_->device(); }
  // Row-major elements in memory of their own.
  template <class T> static Operand<T> row_major(const BlockRef& block, const Shape& shape) {
    return {View<T>::unchecked(static_cast<T*>(block->data()), contiguous_layout(shape)), block.get()};
  }
  template <class T> void copy_in(const View<const T>& in, const Operand<T>& out) const {
    if (out.view.contiguous()) return vulkan::upload(*stream_, in, out.block, out.view.data());
    const BlockRef room = vulkan::temporary(*stream_, in.size() * sizeof(T));
    vulkan::upload(*stream_, in, room.get(), room->data());
    copy_on_device(CopyArguments<T>{row_major<const T>(room, out.shape()), out});
  }
  template <class T> void copy_out(const Operand<const T>& in, const Operand<T>& out) const {
    if (in.view.contiguous()) return vulkan::download(*stream_, in.block, in.view.data(), out.view, out.block);
    const BlockRef room = vulkan::temporary(*stream_, out.view.size() * sizeof(T));
    copy_on_device(CopyArguments<T>{in, row_major<T>(room, out.shape())});
    vulkan::download(*stream_, room.get(), room->data(), out.view, out.block);
  }
  template <class T> void copy_on_device(const CopyArguments<T>& arguments) const {
    const auto& [in, out] = arguments;
    const std::size_t bytes = out.view.size() * sizeof(T);
    // A GPU's copy command reaches a quarter of the bandwidth that a kernel has (H100: 850 of 2970 GB/s), but more to and from the host's
    // pages (51 of 35); a software device's is memcpy.
    vulkan::MemoryPool& memory = device().memory();
    const auto address = [](const auto& operand) { return reinterpret_cast<std::uintptr_t>(operand.view.data()); };
    const bool from_host = memory.imports().find(address(in)).chunk != nullptr, to_host = memory.imports().find(address(out)).chunk != nullptr;
    const bool by_command = from_host || to_host || device().capabilities().type == vulkan::DeviceType::software || (address(in) | address(out)) % 16 != 0;
    if (by_command && in.view.contiguous() && out.view.contiguous()) {
      vulkan::Stream& stream =
          from_host == to_host ? *stream_ : vulkan::detail::copying_stream(*stream_, to_host ? vulkan::Direction::to_host : vulkan::Direction::to_device, out.block, bytes);
      stream.copy({in.block, in.view.data(), bytes, vulkan::Access::read}, memory.find(in.view.data()), {out.block, out.view.data(), bytes, vulkan::Access::write},
                    memory.find(out.view.data()), nullptr);
      if (from_host != to_host && bytes >= vulkan::large_copy) stream.flush();
    } else {
      vulkan::kernels::copy(device(), *stream_, arguments);
    }
  }

  // To another device: through the host.
  template <class T> void copy_across(const CopyArguments<T>& arguments) const {
    const auto host = empty<T>(arguments.out.shape());
    copy_out(arguments.in, output(host));
    VulkanBackend(arguments.out.block->template storage<Vulkan>().shared_stream()).copy_in(View<const T>(host.view()), arguments.out);
  }

  std::shared_ptr<vulkan::Stream> stream_;
};

inline VulkanBackend& Vulkan::backend_instance() const {
  // Kept with the stream, which it does not keep alive.
  std::call_once(stream_->attachment_once(), [this] {
    stream_->attachment() = std::make_shared<VulkanBackend>(std::shared_ptr<vulkan::Stream>(std::shared_ptr<void>(), stream_.get()));
  });
  return *static_cast<VulkanBackend*>(stream_->attachment().get());
}

}  // namespace cotenant

#endif
