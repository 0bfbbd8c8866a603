// ElementBits: a kernel's buffer of elements whose bits are moved and mean nothing.
#ifndef COTENANT_VULKAN_KERNELS_ELEMENT_BITS_HPP
#define COTENANT_VULKAN_KERNELS_ELEMENT_BITS_HPP
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/element_buffer.hpp"

namespace cotenant::vulkan {

// Of 1, 2, 4 or 8 bytes each: the interface of Elements without conversions.
class ElementBits {
 public:
  ElementBits(KernelBuilder& kernel, std::uint32_t bytes)
      : kernel_(&kernel), bytes_(bytes),
        buffer_(bytes, kernel.buffer(bytes == 8 ? kernel.vector(kernel.u32(), 2) : ElementBuffer::type_of(kernel, bytes))) {}
  Type type() const { return buffer_.element(); }
  Value load(Value index) const { return buffer_.load(index); }
  void store(Value index, Value value) const { buffer_.store(index, value); }
  // One vector stands for `groups` times four elements: nobody looks into it.
  std::vector<Value> load_vectors(Value index, std::uint32_t groups) const {
    if (bytes_ < 8) return std::vector<Value>(groups, wide(4 * groups * bytes_).load(index));
    const Buffer half = wide(16);
    return {make_pair(half.load(index * 2u), half.load(index * 2u + 1u))};
  }
  // The same of one element over and over.
  std::vector<Value> load_repeated(Value index, std::uint32_t groups) const {
    const Value element = load(index);
    if (bytes_ == 8) {
      const Value x = extract(element, 0), y = extract(element, 1), two = spirv::make_vector({x, y, x, y});
      return {make_pair(two, two)};
    }
    const Value word = bytes_ == 4 ? element : spirv::convert(kernel_->u32(), element) * (bytes_ == 1 ? 0x01010101u : 0x00010001u);
    return std::vector<Value>(groups, spirv::splat(word, groups * bytes_));
  }
  void store_vectors(Value index, const std::vector<Value>& values) const {
    const auto groups = static_cast<std::uint32_t>(values.size());
    if (bytes_ < 8) return wide(4 * groups * bytes_).store(index, values[0]);
    const Buffer half = wide(16);
    half.store(index * 2u, part(values[0], 0));
    half.store(index * 2u + 1u, part(values[0], 1));
  }

 private:
  Buffer wide(std::uint32_t bytes) const { return buffer_.buffer().as(kernel_->vector(kernel_->u32(), bytes / 4)); }
  // Two vectors of four words as an array of two.
  Value make_pair(Value a, Value b) const { return kernel_->module().result(spirv::Op::CompositeConstruct, kernel_->module().array(a.type, 2), {a.id, b.id}); }
  Value part(Value pair, std::uint32_t index) const { return kernel_->module().result(spirv::Op::CompositeExtract, pair.type->component, {pair.id, index}); }

  KernelBuilder* kernel_;
  std::uint32_t bytes_;
  ElementBuffer buffer_;
};

}  // namespace cotenant::vulkan

#endif
