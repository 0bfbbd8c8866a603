// AttentionLines: a block of an operand's positions (queries, keys or values) on its way to shared memory, as cooperative matrices read it.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_LINES_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_LINES_HPP
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan::detail {

// One line per position: its elements of 16 bits in words of eight. One word of padding behind each line, so that eight lines begin
// in eight different banks: `width` is a multiple of 16, a line an odd number of words.
class AttentionLines {
 public:
  using Value = spirv::Value;
  // Neighbouring positions lie `stride` elements apart, neighbours of one position `step`; there are `extent` and `full` of them. The
  // block has `lines` positions and the `width` elements from `first` on. vectors: words lie in memory as they are.
  AttentionLines(KernelBuilder& kernel, const OperandCode& x, bool vectors, std::uint32_t lines, std::uint32_t width, Value stride, Value step, Value extent,
                 Value full, Value first)
      : k_(kernel), x_(x), vectors_(vectors), stride_(stride), step_(step), extent_(extent), full_(full), words_(width / 8) {
    const std::uint32_t count = lines * words_, threads = k_.workgroup();
    for (std::uint32_t begin = 0; begin < count; begin += threads) {
      // Threads without a word of the last round read and write the last one once more.
      Value index = k_.local_index() + begin;
      if (begin + threads > count) index = spirv::min(index, count - 1);
      line_.push_back(index / words_), word_.push_back(index % words_), element_.push_back(first + word_.back() * 8u);
      registers_.push_back(k_.variable(k_.vector(k_.u32(), 4)));
    }
  }
  static std::uint32_t size(std::uint32_t lines, std::uint32_t width) { return lines * line_length(width); }  // in words
  static std::uint32_t line_length(std::uint32_t width) { return width / 8 + 1; }

  // Reads the block from position `begin` on; what lies outside is 0.
  void fetch(Value begin) {
    for (std::size_t item = 0; item < registers_.size(); ++item) {
      const Value position = begin + line_[item], inside = position < extent_;
      const Value offset = x_.base + spirv::min(position, extent_ - 1u) * stride_;
      if (vectors_) {
        const Value word = x_.elements.buffer().as(k_.vector(k_.u32(), 4)).load((offset + spirv::min(element_[item], full_ - 8u)) / 8u);
        registers_[item].set(spirv::select(inside && element_[item] < full_, word, spirv::constant_like(word, 0u)));
        continue;
      }
      std::vector<Value> parts;
      for (std::uint32_t e = 0; e < 8; ++e) {
        const Value place = element_[item] + e;
        const Value loaded = spirv::convert(k_.u32(), x_.elements.buffer().load(offset + spirv::min(place, full_ - 1u) * step_));
        const Value element = spirv::select(inside && place < full_, loaded, 0u);
        if (e % 2 == 0) parts.push_back(element);
        else parts.back() = parts.back() | element << 16u;
      }
      registers_[item].set(spirv::make_vector(parts));
    }
  }
  // Writes it to shared memory from word `base` on.
  void put(const Shared& shared, std::uint32_t base) {
    for (std::size_t item = 0; item < registers_.size(); ++item)
      shared.store(line_[item] * (words_ + 1) + word_[item] + base, registers_[item].get());
  }

 private:
  KernelBuilder& k_;
  const OperandCode& x_;
  bool vectors_;
  Value stride_, step_, extent_, full_;
  std::uint32_t words_;
  std::vector<Value> line_, word_, element_;
  std::vector<Variable> registers_;
};

}  // namespace cotenant::vulkan::detail

#endif
