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
      : k_(kernel), x_(x), vectors_(vectors), stride_(stride), step_(step), extent_(extent), full_(full), element_end_(first + width), lines_(lines),
        words_(width / 8) {
    const std::uint32_t count = lines * words_, threads = k_.workgroup();
    const Value thread = k_.local_index();
    for (std::uint32_t begin = 0; begin < count; begin += threads) {
      // Where rounds end with lines, a thread's words lie in one column and a constant number of lines apart. Threads without a word of
      // the last round read and write the last one once more.
      const bool aligned = threads % words_ == 0 && begin + threads <= count;
      const Value index = begin + threads <= count ? thread + begin : spirv::min(thread + begin, count - 1);
      const Value word = (aligned ? thread : index) % words_;
      const Value line = (aligned ? thread : index) / words_;
      items_.push_back({line, word, first + word * 8u, aligned ? begin / words_ : 0, k_.variable(k_.vector(k_.u32(), 4))});
    }
  }
  static std::uint32_t size(std::uint32_t lines, std::uint32_t width) { return lines * line_length(width); }  // in words
  static std::uint32_t line_length(std::uint32_t width) { return width / 8 + 1; }

  // Reads the block from position `begin` on; what lies outside is 0.
  void fetch(Value begin) {
    if (!vectors_) return read(begin);
    // Inside there is nothing to compare.
    k_.when(begin + lines_ <= extent_ && element_end_ <= full_, [&] {
      for (const Item& item : items_) {
        const Value offset = x_.base + (begin + item.further) * stride_ + (item.line * stride_ + item.element);
        item.word_read.set(x_.elements.buffer().as(k_.vector(k_.u32(), 4)).load(offset / 8u));
      }
    }, [&] { read(begin); });
  }
  // Writes what was read to shared memory from word `base` on.
  void put(const Shared& shared, Value base) {
    for (const Item& item : items_) shared.store(item.line * (words_ + 1) + item.word + (base + item.further * (words_ + 1)), item.word_read.get());
  }

 private:
  struct Item {
    Value line, word, element;  // of the block; of the line; of the operand
    std::uint32_t further;      // lines
    Variable word_read;
  };

  void read(Value begin) {
    for (const Item& item : items_) {
      const Value position = begin + (item.line + item.further), inside = position < extent_;
      const Value offset = x_.base + spirv::min(position, extent_ - 1u) * stride_;
      if (vectors_) {
        const Value word = x_.elements.buffer().as(k_.vector(k_.u32(), 4)).load((offset + spirv::min(item.element, full_ - 8u)) / 8u);
        item.word_read.set(spirv::select(inside && item.element < full_, word, spirv::constant_like(word, 0u)));
        continue;
      }
      std::vector<Value> parts;
      for (std::uint32_t e = 0; e < 8; ++e) {
        const Value place = item.element + e;
        const Value loaded = x_.elements.load_bits(offset + spirv::min(place, full_ - 1u) * step_);
        const Value element = spirv::select(inside && place < full_, loaded, 0u);
        if (e % 2 == 0) parts.push_back(element);
        else parts.back() = parts.back() | element << 16u;
      }
      item.word_read.set(spirv::make_vector(parts));
    }
  }

  KernelBuilder& k_;
  const OperandCode& x_;
  bool vectors_;
  Value stride_, step_, extent_, full_, element_end_;
  std::uint32_t lines_, words_;
  std::vector<Item> items_;
};

}  // namespace cotenant::vulkan::detail

#endif
