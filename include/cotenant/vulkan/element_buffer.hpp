// ElementBuffer: a kernel's buffer of single elements of 1 to 8 bytes as unsigned integers, on devices that access whole words only, too.
#ifndef COTENANT_VULKAN_ELEMENT_BUFFER_HPP
#define COTENANT_VULKAN_ELEMENT_BUFFER_HPP
#include <cstdint>

#include "cotenant/vulkan/kernel.hpp"

namespace cotenant::vulkan {

// Whether the device loads and stores single elements of so many bytes.
constexpr bool accesses_single(const Capabilities& device, std::uint32_t bytes) {
  return bytes == 1 ? device.storage_8bit : bytes == 2 ? device.storage_16bit : true;
}

// load() gives and store() takes an unsigned integer of the element's size; where the device accesses none of 1 or 2 bytes, a u32
// whose upper bits are 0 when loaded and do not count when stored.
class ElementBuffer {
 public:
  ElementBuffer() = default;
  // The next buffer of the launch; one that is declared already.
  ElementBuffer(KernelBuilder& kernel, std::uint32_t bytes) : ElementBuffer(bytes, kernel.buffer(type_of(kernel, bytes))) {}
  ElementBuffer(KernelBuilder& kernel, std::uint32_t bytes, const Buffer& buffer) : ElementBuffer(bytes, buffer.as(type_of(kernel, bytes))) {}
  // A buffer of such elements already, or of words that hold them.
  ElementBuffer(std::uint32_t bytes, const Buffer& buffer) : bytes_(bytes), buffer_(buffer) {}

  // What a buffer of such elements is declared as.
  static Type type_of(KernelBuilder& kernel, std::uint32_t bytes) {
    const Capabilities& device = kernel.capabilities();
    if (!accesses_single(device, bytes)) return kernel.u32();
    // Loads and stores do not need the arithmetic, but spirv-val wants it for pointers that are made of addresses.
    const bool computes = bytes == 1 ? device.shader_int8 : device.shader_int16;
    return kernel.module().integer(bytes * 8, false, computes ? spirv::Module::Purpose::arithmetic : spirv::Module::Purpose::storage);
  }

  Type element() const { return buffer_.element(); }
  const Buffer& buffer() const { return buffer_; }

  Value load(Value index) const {
    if (whole()) return buffer_.load(index);
    const Place at = place(index);
    return (spirv::load(at.word, 4) >> at.shift) & mask();
  }
  // Other elements of the word may be stored at the same time: clearing and setting the bits of this one leaves them alone.
  void store(Value index, Value value) const {
    if (whole()) return buffer_.store(index, value);
    const Place at = place(index);
    const auto change = [&](spirv::Op op, Value bits) {
      spirv::Module& module = bits.module();
      // Each memory model has its own name for what the queue's kernels have in common.
      const auto scope = module.memory_model() == spirv::MemoryModel::Vulkan ? spirv::Scope::QueueFamily : spirv::Scope::Device;
      module.result(op, bits.type, {at.word.id, module.constant(spirv::word(scope)).id, module.constant(0u).id, bits.id});
    };
    change(spirv::Op::AtomicAnd, ~(spirv::constant_like(at.shift, mask()) << at.shift));
    change(spirv::Op::AtomicOr, (value & mask()) << at.shift);
  }

 private:
  bool whole() const { return buffer_.element()->bytes == bytes_; }
  std::uint32_t mask() const { return (1u << 8 * bytes_) - 1; }

  // The word that holds an element, and by how many bits the element lies above its lowest.
  struct Place {
    Value word, shift;
  };
  Place place(Value index) const {
    const std::uint32_t per_word = 4 / bytes_;
    const Value from_word = index + spirv::convert(index.type, buffer_.rest() / bytes_);
    return {buffer_.pointer(from_word / per_word), spirv::convert(buffer_.element(), from_word & (per_word - 1)) * (8 * bytes_)};
  }

  std::uint32_t bytes_ = 0;
  Buffer buffer_;
};

}  // namespace cotenant::vulkan

#endif
