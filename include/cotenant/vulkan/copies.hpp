// copy: elements between host and device, on one device, or from one device to another.
#ifndef COTENANT_VULKAN_COPIES_HPP
#define COTENANT_VULKAN_COPIES_HPP
#include <cstddef>
#include <cstdint>

#include "cotenant/storage/heap.hpp"
#include "cotenant/vulkan/kernels/copy.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/staging.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant::vulkan {

namespace detail {
// Row-major elements in memory of their own.
inline AnyOperand row_major(const BlockRef& block, const AnyOperand& like) {
  return {AnyView(like.type(), block->data(), like.shape(), contiguous_strides(like.shape())), block.get()};
}
inline void copy_on_device(Stream& stream, const AnyOperand& in, const AnyOperand& out) {
  Device& device = stream.device();
  const std::size_t bytes = out.view.bytes();
  // A GPU's copy command reaches a quarter of the bandwidth that a kernel has (H100: 850 of 2970 GB/s), but more to and from the host's
  // pages (51 of 35); a software device's is memcpy.
  MemoryPool& memory = device.memory();
  const auto address = [](const AnyOperand& operand) { return reinterpret_cast<std::uintptr_t>(operand.view.data()); };
  const bool from_host = memory.imports().find(address(in)).chunk != nullptr, to_host = memory.imports().find(address(out)).chunk != nullptr;
  const bool by_command = from_host || to_host || device.capabilities().type == DeviceType::software || (address(in) | address(out)) % 16 != 0;
  if (!by_command || !in.view.contiguous() || !out.view.contiguous()) return kernels::copy_bits(device, stream, out.shape(), map_operand(out), map_operand(in));
  Stream& chosen = from_host == to_host ? stream : copying_stream(stream, to_host ? Direction::to_host : Direction::to_device, out.block, bytes);
  chosen.copy({in.block, in.view.data(), bytes, Access::read}, memory.find(in.view.data()), {out.block, out.view.data(), bytes, Access::write},
              memory.find(out.view.data()), nullptr);
  if (from_host != to_host && bytes >= large_copy) chosen.flush();
}
inline void copy_in(Stream& stream, const AnyOperand& in, const AnyOperand& out) {
  if (out.view.contiguous()) return upload(stream, in.view, out.block, out.view.data());
  const BlockRef room = temporary(stream, in.view.bytes());
  upload(stream, in.view, room.get(), room->data());
  copy_on_device(stream, row_major(room, in), out);
}
inline void copy_out(Stream& stream, const AnyOperand& in, const AnyOperand& out) {
  if (in.view.contiguous()) return download(stream, in.block, in.view.data(), out.view, out.block);
  const BlockRef room = temporary(stream, out.view.bytes());
  copy_on_device(stream, in, row_major(room, out));
  download(stream, room.get(), room->data(), out.view, out.block);
}
}  // namespace detail

COTENANT_VULKAN_INLINE void kernels::copy(Stream& stream, const AnyCopy& a) {
  const auto& in = a.in;
  const auto& out = a.out;
  if (out.view.size() == 0) return;
  if (in.block->host_accessible()) return detail::copy_in(stream, in, out);
  if (out.block->host_accessible()) return detail::copy_out(stream, in, out);
  if (lies_on(*out.block, stream.device())) return detail::copy_on_device(stream, in, out);
  // To another device: through the host.
  const BlockRef host = Block::allocate(Heap(), out.view.bytes());
  const AnyOperand between = detail::row_major(host, out);
  detail::copy_out(stream, in, between);
  host->wait();
  detail::copy_in(*out.block->storage<Vulkan>().shared_stream(), between, out);
}

}  // namespace cotenant::vulkan

namespace cotenant {

COTENANT_VULKAN_INLINE void Vulkan::copy_between(DType type, Block& from, std::size_t first, Block& to, std::size_t count) const {
  const auto elements = [&](Block& block, std::size_t begin) {
    return vulkan::AnyOperand(vulkan::AnyView(type, static_cast<std::byte*>(block.data()) + begin * size_of(type), {count}, Strides{1}), &block);
  };
  vulkan::kernels::copy(*stream_, {elements(from, first), elements(to, 0)});
}

}  // namespace cotenant

#endif
