// Rows of elements whose type is known only at run time: copied, read as float, written from float, quantised.
#ifndef COTENANT_SHARE_ELEMENT_ROWS_HPP
#define COTENANT_SHARE_ELEMENT_ROWS_HPP
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/layout.hpp"

// One copy of these loops serves all element types and every program: a manager that converts what it is asked for must not make
// each use of get() compile a kernel per type. An op (cast, quantize) does the same faster where it is called often.
namespace cotenant::detail {

// Where the parameters of quantised values lie: elements of the same block.
struct QuantizedParameters {
  Layout scale;                      // of float
  std::optional<Layout> zero_point;  // of the values' quantized_value
  friend bool operator==(const QuantizedParameters&, const QuantizedParameters&) = default;
};

// Calls f(index) for every row along the last axis; `index` has the row's place along the other axes. A scalar is one row.
template <class F> void for_each_row(const Shape& shape, const F& f) {
  if (element_count(shape) == 0) return;
  const std::size_t outer = shape.rank() == 0 ? 0 : shape.rank() - 1;
  Shape index = Shape::filled(outer, 0);
  for (;;) {
    f(static_cast<const Shape&>(index));
    std::size_t axis = outer;
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}
inline std::size_t row_length(const Shape& shape) { return shape.rank() == 0 ? 1 : shape.back(); }
inline std::ptrdiff_t row_offset(const Layout& layout, const Shape& index) {
  std::ptrdiff_t offset = layout.offset;
  for (std::size_t axis = 0; axis < index.rank(); ++axis) offset += static_cast<std::ptrdiff_t>(index[axis]) * layout.strides[axis];
  return offset;
}
inline std::ptrdiff_t row_stride(const Layout& layout) { return layout.shape.rank() == 0 ? 1 : layout.strides.back(); }

// `count` elements of `size` bytes, `stride` elements apart, one behind the other.
inline void gather_row(std::size_t size, const void* from, std::ptrdiff_t stride, std::size_t count, void* to) {
  if (stride == 1) {
    std::memcpy(to, from, count * size);
    return;
  }
  const char* source = static_cast<const char*>(from);
  char* target = static_cast<char*>(to);
  for (std::size_t i = 0; i < count; ++i, source += stride * static_cast<std::ptrdiff_t>(size), target += size) std::memcpy(target, source, size);
}

// Values as float; the `count` values of an i4x2 row lie in half as many elements.
inline void read_row(DType dtype, const void* data, std::ptrdiff_t stride, std::size_t count, float* out) {
  with_element(dtype, [&]<class T>(std::type_identity<T>) {
    const T* const from = static_cast<const T*>(data);
    for (std::size_t i = 0; i < count; ++i) {
      if constexpr (std::same_as<T, i4x2>) {
        const i4x2 pair = from[static_cast<std::ptrdiff_t>(i / 2) * stride];
        out[i] = static_cast<float>(i % 2 == 0 ? pair.low() : pair.high());
      } else {
        out[i] = convert<float>(from[static_cast<std::ptrdiff_t>(i) * stride]);
      }
    }
  });
}
// The other way, one behind the other. Integers must be whole already and in their range.
inline void write_row(DType dtype, const float* in, std::size_t count, void* data) {
  with_element(dtype, [&]<class T>(std::type_identity<T>) {
    T* const to = static_cast<T*>(data);
    if constexpr (std::same_as<T, i4x2>) {
      for (std::size_t i = 0; i + 1 < count; i += 2) to[i / 2] = i4x2(static_cast<int>(in[i]), static_cast<int>(in[i + 1]));
    } else {
      for (std::size_t i = 0; i < count; ++i) to[i] = convert<T>(in[i]);
    }
  });
}

// Which range of a scale a value lies in: `shape` values, `ranges` a shape that divides it, of the same rank.
class RangeOf {
 public:
  RangeOf(const Shape& shape, const Shape& ranges) : ranges_(ranges) {
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) block_.append(ranges[axis] == 0 ? 1 : std::max<std::size_t>(shape[axis] / ranges[axis], 1));
  }
  // The place of a row's first range in a parameter's layout, and how many values of the row share each.
  std::ptrdiff_t first(const Shape& index, const Layout& parameter) const {
    std::ptrdiff_t offset = parameter.offset;
    for (std::size_t axis = 0; axis < index.rank(); ++axis) offset += static_cast<std::ptrdiff_t>(index[axis] / block_[axis]) * parameter.strides[axis];
    return offset;
  }
  std::size_t run() const { return block_.rank() == 0 ? 1 : block_.back(); }

 private:
  Shape ranges_, block_;
};

// A layout with axes of one element in front, up to `rank`.
inline Layout padded_rank(Layout layout, std::size_t rank) {
  while (layout.shape.rank() < rank) layout = unsqueeze(layout, 0);
  return layout;
}

// The real values of a tensor, row by row.
class RowReader {
 public:
  // `data` is the first byte of the block that `layout` and the parameters (null: none) lie in.
  RowReader(DType dtype, const void* data, const Layout& layout, const QuantizedParameters* parameters = nullptr) : dtype_(dtype),
      data_(static_cast<const char*>(data)), layout_(layout) {
    shape_ = layout.shape;
    if (dtype == DType::i4x2 && shape_.rank() > 0) shape_[shape_.rank() - 1] *= 2;
    if (parameters == nullptr) return;
    scale_ = padded_rank(parameters->scale, shape_.rank());
    if (parameters->zero_point) zero_ = padded_rank(*parameters->zero_point, shape_.rank());
    ranges_.emplace(shape_, scale_->shape);
  }
  const Shape& shape() const { return shape_; }
  void read(const Shape& index, float* out) const {
    const std::size_t count = row_length(shape_);
    read_row(dtype_, data_ + row_offset(layout_, index) * static_cast<std::ptrdiff_t>(size_of(dtype_)), row_stride(layout_), count, out);
    if (!ranges_) return;
    const float* scale = reinterpret_cast<const float*>(data_) + ranges_->first(index, *scale_);
    const std::ptrdiff_t zero_first = zero_ ? ranges_->first(index, *zero_) : 0;
    const std::size_t run = ranges_->run();
    for (std::size_t begin = 0, block = 0; begin < count; begin += run, ++block) {
      const auto at = static_cast<std::ptrdiff_t>(block);
      float zero = 0;
      // Zero points of an i4x2 are int8_t.
      if (zero_) read_row(dtype_ == DType::u8 ? DType::u8 : DType::i8, data_ + zero_first + at * row_stride(*zero_), 1, 1, &zero);
      const float factor = scale[at * row_stride(*scale_)];
      for (std::size_t i = begin; i < std::min(begin + run, count); ++i) out[i] = (out[i] - zero) * factor;
    }
  }

 private:
  DType dtype_;
  const char* data_;
  Layout layout_;
  Shape shape_;
  std::optional<Layout> scale_, zero_;
  std::optional<RangeOf> ranges_;
};

// The same values in row-major order as another float type.
inline void convert_rows(const RowReader& in, DType dtype, void* out) {
  const std::size_t count = row_length(in.shape());
  std::vector<float> row(count);
  char* to = static_cast<char*>(out);
  for_each_row(in.shape(), [&](const Shape& index) {
    in.read(index, row.data());
    write_row(dtype, row.data(), count, to);
    to += count * size_of(dtype);
  });
}

// Values, scale and (of u8) zero point in row-major order, one range for each element of a scale of shape `ranges`, found as
// DynamicQuantizeArguments in ops/quantize.hpp says:
//   i8, i4x2: scale = max |x| / high, high = 127 or 7; u8: low = min(x, 0), high = max(x, 0), scale = (high - low) / 255, zero = round(-low / scale)
//   value = clamp(round(x / scale) + zero), ties to even; NaN gives the zero point
inline void quantize_rows(const RowReader& in, DType dtype, const Shape& ranges, void* values, float* scale, std::uint8_t* zero_point) {
  struct Range {
    float low = 0, high = 0, zero = 0;
  };
  const bool affine = dtype == DType::u8;
  const float highest = affine ? 255.0f : dtype == DType::i4x2 ? 7.0f : 127.0f, lowest = affine ? 0.0f : -highest;
  const std::size_t count = row_length(in.shape()), range_count = element_count(ranges);
  const RangeOf range_of(in.shape(), ranges);
  const Layout dense = contiguous_layout(ranges);
  std::vector<Range> found(range_count);
  std::vector<float> row(count);
  const auto each_block = [&](const Shape& index, const auto& f) {
    in.read(index, row.data());
    std::size_t block = static_cast<std::size_t>(range_of.first(index, dense));
    for (std::size_t begin = 0; begin < count; begin += range_of.run(), ++block) f(block, begin, std::min(begin + range_of.run(), count));
  };
  for_each_row(in.shape(), [&](const Shape& index) {
    each_block(index, [&](std::size_t block, std::size_t begin, std::size_t end) {
      Range& range = found[block];
      for (std::size_t i = begin; i < end; ++i) {
        if (row[i] < range.low) range.low = row[i];
        if (row[i] > range.high) range.high = row[i];
      }
    });
  });
  for (std::size_t block = 0; block < range_count; ++block) {
    Range& range = found[block];
    const float extent = affine ? range.high - range.low : std::max(-range.low, range.high);
    scale[block] = extent > 0 ? extent / highest : 1.0f;
    if (!affine) continue;
    const float place = -range.low / scale[block];
    range.zero = place == place ? std::nearbyint(std::clamp(place, 0.0f, 255.0f)) : 0.0f;
    zero_point[block] = static_cast<std::uint8_t>(range.zero);
  }
  char* to = static_cast<char*>(values);
  const std::size_t row_bytes = dtype == DType::i4x2 ? count / 2 : count;
  for_each_row(in.shape(), [&](const Shape& index) {
    each_block(index, [&](std::size_t block, std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const float quotient = row[i] / scale[block];
        row[i] = quotient == quotient ? std::clamp(std::nearbyint(quotient) + found[block].zero, lowest, highest) : found[block].zero;
      }
    });
    write_row(dtype, row.data(), count, to);
    to += row_bytes;
  });
}

}  // namespace cotenant::detail

#endif
