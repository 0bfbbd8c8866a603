// Shape and Strides: up to eight dimensions, held inline; every product and sum of sizes is overflow-checked.
#ifndef COTENANT_CORE_SHAPE_HPP
#define COTENANT_CORE_SHAPE_HPP
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>

#include "cotenant/core/error.hpp"
#include "cotenant/core/text.hpp"

namespace cotenant {

// Eight covers every operator of WebNN and ONNX in use; a fixed bound keeps views trivially copyable.
inline constexpr std::size_t max_rank = 8;

// Up to max_rank integers, outermost dimension first.
template <std::integral T> class Dimensions {
 public:
  constexpr Dimensions() = default;
  constexpr Dimensions(std::initializer_list<T> values) : Dimensions(std::span<const T>(values.begin(), values.size())) {}
  explicit constexpr Dimensions(std::span<const T> values) {
    if (values.size() > max_rank)
      raise<ShapeError>(Text{"a tensor has at most 8 dimensions, but ", values.size(), " were given"});
    rank_ = values.size();
    std::copy(values.begin(), values.end(), values_.begin());
  }
  // `rank` dimensions, each `value`.
  static constexpr Dimensions filled(std::size_t rank, T value) {
    std::array<T, max_rank> values{};
    values.fill(value);
    if (rank > max_rank) raise<ShapeError>(Text{"a tensor has at most 8 dimensions, but ", rank, " were asked for"});
    return Dimensions(std::span<const T>(values.data(), rank));
  }

  constexpr std::size_t rank() const { return rank_; }
  constexpr bool empty() const { return rank_ == 0; }
  constexpr T operator[](std::size_t axis) const { COTENANT_ASSERT(axis < rank_); return values_[axis]; }
  constexpr T& operator[](std::size_t axis) { COTENANT_ASSERT(axis < rank_); return values_[axis]; }
  constexpr T front() const { return (*this)[0]; }
  constexpr T back() const { return (*this)[rank_ - 1]; }
  constexpr const T* begin() const { return values_.data(); }
  constexpr const T* end() const { return values_.data() + rank_; }

  constexpr void insert(std::size_t axis, T value) {
    COTENANT_ASSERT(axis <= rank_);
    if (rank_ == max_rank) raise<ShapeError>("a tensor has at most 8 dimensions: cannot add a ninth");
    std::copy_backward(values_.begin() + axis, values_.begin() + rank_, values_.begin() + rank_ + 1);
    values_[axis] = value;
    ++rank_;
  }
  constexpr void append(T value) { insert(rank_, value); }
  constexpr void erase(std::size_t axis) {
    COTENANT_ASSERT(axis < rank_);
    std::copy(values_.begin() + axis + 1, values_.begin() + rank_, values_.begin() + axis);
    values_[--rank_] = T{};
  }
  // The dimensions [first, last).
  constexpr Dimensions part(std::size_t first, std::size_t last) const {
    COTENANT_ASSERT(first <= last && last <= rank_);
    return Dimensions(std::span<const T>(values_.data() + first, last - first));
  }

  friend constexpr bool operator==(const Dimensions& a, const Dimensions& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  std::size_t rank_ = 0;
  std::array<T, max_rank> values_{};
};

using Shape = Dimensions<std::size_t>;
// Distance in elements between neighbours along each axis; negative runs backwards, 0 repeats.
using Strides = Dimensions<std::ptrdiff_t>;

// "[2, 3, 4]"
template <std::integral T> [[gnu::cold]] std::string to_string(const Dimensions<T>& dimensions) {
  std::string text;
  for (std::size_t axis = 0; axis < dimensions.rank(); ++axis) Text{axis == 0 ? "[" : ", ", dimensions[axis]}.append_to(text);
  return text += dimensions.empty() ? "[]" : "]";
}

// a * b and a + b, or a ShapeError that names `what`.
constexpr std::size_t checked_multiply(std::size_t a, std::size_t b, const char* what) {
  if (b != 0 && a > std::numeric_limits<std::size_t>::max() / b)
    raise<ShapeError>(Text{what, " overflows: ", a, " * ", b});
  return a * b;
}
constexpr std::size_t checked_add(std::size_t a, std::size_t b, const char* what) {
  if (a > std::numeric_limits<std::size_t>::max() - b)
    raise<ShapeError>(Text{what, " overflows: ", a, " + ", b});
  return a + b;
}

// The number of elements: the product of the dimensions (1 for rank 0).
constexpr std::size_t element_count(const Shape& shape) {
  // A zero dimension means no element, however large the others are.
  for (std::size_t extent : shape) if (extent == 0) return 0;
  std::size_t count = 1;
  for (std::size_t extent : shape) count = checked_multiply(count, extent, "the number of elements");
  return count;
}

// An axis counted from the front (0, 1, …) or the back (-1, -2, …), as an index below rank.
constexpr std::size_t normalize_axis(std::ptrdiff_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::ptrdiff_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank)
    raise<ShapeError>(Text{"axis ", axis, " is out of range for a tensor of rank ", rank});
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

// NumPy's rule: aligned at the last dimension, equal or 1. WebNN and ONNX use the same. `what` begins the error's text.
constexpr Shape broadcast(const Shape& a, const Shape& b, const char* what = "shapes") {
  const std::size_t rank = std::max(a.rank(), b.rank());
  Shape result = Shape::filled(rank, 1);
  for (std::size_t back = 1; back <= rank; ++back) {
    const std::size_t x = back <= a.rank() ? a[a.rank() - back] : 1;
    const std::size_t y = back <= b.rank() ? b[b.rank() - back] : 1;
    if (x != y && x != 1 && y != 1)
      raise<ShapeError>(Text{what, " ", a, " and ", b, " do not broadcast: ", x, " against ", y, " in dimension ", rank - back,
                             ", but dimensions, aligned at the last, must be equal or 1"});
    result[rank - back] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace cotenant

#endif
