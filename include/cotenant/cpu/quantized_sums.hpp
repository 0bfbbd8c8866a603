// Sums of 8-bit integers along rows and columns: what zero points add to an integer product. Those of frozen weights are kept.
#ifndef COTENANT_CPU_QUANTIZED_SUMS_HPP
#define COTENANT_CPU_QUANTIZED_SUMS_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cotenant/cpu/packed.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant::cpu {

// sums[i] = sum over j < length of (data[i * line_stride + j * stride] + shift), for i < lines.
template <class T> void sum_lines(const T* data, std::size_t lines, std::ptrdiff_t line_stride, std::size_t length, std::ptrdiff_t stride,
    std::int32_t shift, std::int32_t* sums) {
  const std::int32_t shifts = shift * static_cast<std::int32_t>(length);
  if (stride != 1 && line_stride == 1) {  // side by side
    std::fill_n(sums, lines, shifts);
    for (std::size_t j = 0; j < length; ++j) {
      const T* row = data + static_cast<std::ptrdiff_t>(j) * stride;
      for (std::size_t i = 0; i < lines; ++i) sums[i] += row[i];
    }
    return;
  }
  for (std::size_t i = 0; i < lines; ++i) {
    const T* line = data + static_cast<std::ptrdiff_t>(i) * line_stride;
    // Sixteen sums, which compilers keep in vectors.
    std::int32_t parts[16] = {};
    std::size_t j = 0;
    if (stride == 1)
      for (; j + 16 <= length; j += 16)
        for (std::size_t k = 0; k < 16; ++k) parts[k] += line[j + k];
    std::int32_t sum = shifts;
    for (std::int32_t part : parts) sum += part;
    for (; j < length; ++j) sum += line[static_cast<std::ptrdiff_t>(j) * stride];
    sums[i] = sum;
  }
}

class KeptSums final : public Derived {
 public:
  explicit KeptSums(std::size_t count) : sums(count) {}
  std::size_t bytes() const noexcept override { return sums.capacity() * sizeof(std::int32_t); }
  std::vector<std::int32_t> sums;
};
inline constexpr char kept_sums_identity = 0;  // its address

// to[n] = sum over k of (b[k, n] + shift). `block` holds b, or is null where the sums cannot be kept.
template <class T> void column_sums(const Operand<const T>& b, const Block* block, std::int32_t shift, std::int32_t* to) {
  const std::size_t depth = b.shape()[0], columns = b.shape()[1];
  const auto compute = [&](std::int32_t* sums) { sum_lines(b.view.data(), columns, b.view.stride(1), depth, b.view.stride(0), shift, sums); };
  if (block == nullptr || !block->published() || columns * depth < least_packed_elements) return compute(to);
  const DerivedKey key{&kept_sums_identity, b.view.data(), depth, columns, b.view.stride(0), b.view.stride(1)};
  const auto kept = block->derived().find_or_make(key, [&](DerivedRoom& room) -> Ref<const KeptSums> {
    if (!room.take(columns * sizeof(std::int32_t))) return nullptr;
    auto made = make_ref<KeptSums>(columns);
    compute(made->sums.data());
    return made;
  }).template as<const KeptSums>();
  if (!kept) return compute(to);
  std::copy(kept->sums.begin(), kept->sums.end(), to);
}

}  // namespace cotenant::cpu

#endif
