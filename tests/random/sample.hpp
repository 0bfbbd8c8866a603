// Sample: a tensor of a random layout and random elements, as the library has it and as plain loops read it; and what a test expects in one.
#ifndef COTENANT_TESTS_RANDOM_SAMPLE_HPP
#define COTENANT_TESTS_RANDOM_SAMPLE_HPP
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "choices.hpp"
#include "cotenant/core/convert.hpp"
#include "cotenant/ops/copy.hpp"
#include "real.hpp"

namespace cotenant::test {

using Index = std::array<std::size_t, max_rank>;
// Calls f(index, position) for each element of a shape, row-major.
template <class F> void for_each_index(const Shape& shape, F f) {
  const std::size_t count = element_count(shape);
  Index index{};
  for (std::size_t position = 0; position < count; ++position) {
    f(index, position);
    for (std::size_t axis = shape.rank(); axis-- > 0 && ++index[axis] == shape[axis];) index[axis] = 0;
  }
}

// What the elements of a sample are.
enum class Values {
  whole,    // small integers, of which float sums are exact
  uniform,  // of [-3, 3), integers of the type's middle
  special,  // what conversions and comparisons may stumble on: limits, NaN, infinities, -0, subnormals
  any       // bit patterns
};

template <class T> T draw(std::mt19937& random, Values values) {
  const auto below = [&](std::uint32_t bound) { return random() % bound; };
  if constexpr (std::is_same_v<T, bool>) return below(2) == 1;
  else if constexpr (std::is_same_v<T, i4x2>) return i4x2(static_cast<int>(below(16)), static_cast<int>(below(16)));
  else if (values == Values::whole) return convert<T>(static_cast<std::int32_t>(below(9)) - (std::is_same_v<T, std::uint8_t> ? 0 : 4));
  else if constexpr (FloatElement<T>) {
    constexpr float infinite = std::numeric_limits<float>::infinity();
    constexpr std::array<float, 40> odd{
        0.f,          -0.f,          1.f,          -1.f,         infinite,      -infinite,     std::numeric_limits<float>::quiet_NaN(),
        1e-40f,       -1e-40f,       3.4e38f,      -3.4e38f,     65504.f,       65519.f,       65520.f,
        -65520.f,     6e-8f,         2.9e-8f,      3e-8f,        6.1e-5f,       127.5f,        128.f,
        -128.5f,      -129.f,        254.5f,       255.5f,       256.f,         -0.5f,         0.5f,
        1.5f,         2.5f,          2147483520.f, 2147483648.f, -2147483648.f, -2147483904.f, 9.2233715e18f,
        9.223372e18f, -9.223372e18f, -9.3e18f,     1e-7f,        16777217.f};
    if (values == Values::special && below(3) > 0) return convert<T>(odd[below(odd.size())]);
    if (values != Values::any) return convert<T>(static_cast<float>(below(1u << 24)) * (6 * 0x1p-24f) - 3.f);
    if constexpr (sizeof(T) == 4) return detail::bit_cast<T>(static_cast<std::uint32_t>(random()));
    else return detail::bit_cast<T>(static_cast<std::uint16_t>(random()));
  } else {
    const std::uint64_t bits = static_cast<std::uint64_t>(random()) << 32 | random();
    if (values == Values::uniform) return static_cast<T>(static_cast<std::int64_t>(bits % 201) - (std::is_signed_v<T> ? 100 : 0));
    using Limits = std::numeric_limits<T>;
    const std::array<T, 8> ends{
        Limits::min(),           Limits::max(), T(0), T(1), static_cast<T>(-1), static_cast<T>(Limits::max() - 1), static_cast<T>(Limits::min() + 1),
        static_cast<T>(16777217)};
    return values == Values::special && below(2) == 0 ? ends[below(8)] : static_cast<T>(bits);
  }
}

// A difference, as text; what else may go wrong in a trial is an exception of the library's.
struct Mismatch {
  std::string text;
};

// Whether an element is what an oracle says. Conversion to an element never falls where its argument rises: it lies between those of both ends.
template <class T> bool is_expected(T got, const Real& want) {
  if (want.is_anything()) return true;
  if constexpr (FloatElement<T>) {
    const auto have = convert<float>(got);
    Real wider = want;
    if (std::isnan(want.value)) return std::isnan(have);
    if constexpr (sizeof(T) == 2) {
      // What is rounded to 16 bits in the end is computed to 0.06 of their units where that is quicker (gelu), and may be 0 where a
      // factor of it is below the smallest normal float.
      if (want.error > 0) wider.error += std::abs(want.value) * (std::is_same_v<T, f16> ? 0x1p-15 : 0x1p-12) + 0x1p-122;
    }
    return convert<float>(convert<T>(static_cast<float>(wider.low()))) <= have && have <= convert<float>(convert<T>(static_cast<float>(wider.high())));
  } else if constexpr (std::is_same_v<T, bool>) {
    if (want.error > 0 && want.low() <= 0 && want.high() >= 0) return true;
    return got == (want.value != 0);
  } else {
    if (std::isnan(want.value)) return got == T{};
    return convert<T>(static_cast<float>(want.low())) <= got && got <= convert<T>(static_cast<float>(want.high()));
  }
}
template <class T, class C> bool is_expected(T got, const Whole<C>& want) { return got == convert<T>(want.value); }
// The same value: NaN is one, and -0 another than 0.
template <class T> bool is_expected(T got, const T& want) {
  if constexpr (FloatElement<T>) {
    const auto a = convert<float>(got), b = convert<float>(want);
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
  } else {
    return got == want;
  }
}

template <class T> std::string text_of(T value) {
  if constexpr (std::is_same_v<T, i4x2>) return std::to_string(value.low()) + "|" + std::to_string(value.high());
  else if constexpr (std::is_integral_v<T>) return std::to_string(value);
  else {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", static_cast<double>(convert<float>(value)));
    return text;
  }
}
inline std::string text_of(const Real& want) {
  char text[64];
  std::snprintf(text, sizeof text, "%.12g +- %.3g", want.value, want.error);
  return text;
}
template <class C> std::string text_of(const Whole<C>& want) { return std::to_string(want.value); }

// How many elements were compared, and how many of them an oracle could say nothing of: a test of nothing else is none.
struct Compared {
  std::size_t elements = 0, unknown = 0;
};
inline Compared compared;
template <class W> bool is_unknown(const W& want) {
  if constexpr (std::is_same_v<W, Real>) return want.is_anything();
  else return false;
}

template <Element T, Storage S> class Sample {
 public:
  using element = T;
  // `whole` is every element of the block, in host memory; the library gets a copy.
  Sample(SharedTensor<T> whole, const Layout& layout, const S& storage)
      : before_(std::move(whole)), layout_(layout), whole_(before_.copy_to(storage)), tensor_(whole_.with(layout)) {}

  // The same block under another layout.
  Sample part(const Layout& layout) const {
    Sample result = *this;
    result.layout_ = layout;
    result.tensor_ = whole_.with(layout);
    return result;
  }

  operator const SharedTensor<T, S>&() const { return tensor_; }
  const SharedTensor<T, S>& operator*() const { return tensor_; }
  const SharedTensor<T, S>* operator->() const { return &tensor_; }
  const Shape& shape() const { return layout_.shape; }
  std::size_t shape(std::ptrdiff_t axis) const { return layout_.shape[normalize_axis(axis, layout_.shape.rank())]; }
  const Layout& layout() const { return layout_; }

  // The element of an index of a shape that this one broadcasts to.
  T at(const Index& index, std::size_t rank) const {
    std::ptrdiff_t offset = layout_.offset;
    const std::size_t missing = rank - layout_.shape.rank();
    for (std::size_t axis = 0; axis < layout_.shape.rank(); ++axis)
      if (layout_.shape[axis] != 1) offset += static_cast<std::ptrdiff_t>(index[axis + missing]) * layout_.strides[axis];
    return before_.view().data()[offset];
  }
  T at(const Index& index) const { return at(index, layout_.shape.rank()); }
  template <class N = Real> N number(const Index& index, std::size_t rank) const {
    const T value = at(index, rank);
    if constexpr (std::is_same_v<N, Real>) return Real(static_cast<double>(static_cast<float>(value)));
    else return N(value);
  }

  // Every element of the view is what want(index) says, and every other one what it was. Errors: Mismatch.
  template <class F> void expect(const char* what, F want) const {
    const SharedTensor<T> after = whole_.template copy_to<Heap>();
    const T* const elements = after.view().data();
    std::vector<char> seen(after.size(), 0);
    for_each_index(layout_.shape, [&](const Index& index, std::size_t) {
      std::ptrdiff_t offset = layout_.offset;
      for (std::size_t axis = 0; axis < layout_.shape.rank(); ++axis) offset += static_cast<std::ptrdiff_t>(index[axis]) * layout_.strides[axis];
      seen[static_cast<std::size_t>(offset)] = 1;
      const auto wanted = want(index);
      ++compared.elements;
      compared.unknown += is_unknown(wanted) ? 1 : 0;
      if (is_expected(elements[offset], wanted)) return;
      throw Mismatch{std::string(what) + ": element " + to_string(Shape(std::span<const std::size_t>(index.data(), layout_.shape.rank()))) + " of shape " +
                     to_string(layout_.shape) + " is " + text_of(elements[offset]) + ", but should be " + text_of(wanted)};
    });
    for (std::size_t i = 0; i < seen.size(); ++i)
      if (seen[i] == 0 && std::memcmp(elements + i, before_.view().data() + i, sizeof(T)) != 0)
        throw Mismatch{std::string(what) + ": element " + std::to_string(i) + " of the block, which is outside of the view, became " + text_of(elements[i])};
  }

 private:
  SharedTensor<T> before_;
  Layout layout_;
  SharedTensor<T, S> whole_, tensor_;
};

}  // namespace cotenant::test

#endif
