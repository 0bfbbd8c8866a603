// Rows of floats to 8-bit integers and back, on one CPU target: exact quotients at the price of a multiplication.
#if defined(COTENANT_CPU_QUANTIZE_ROW_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZE_ROW_INL_HPP
#undef COTENANT_CPU_QUANTIZE_ROW_INL_HPP
#else
#define COTENANT_CPU_QUANTIZE_ROW_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <hwy/highway.h>

#include "cotenant/cpu/load_store-inl.hpp"
#include "cotenant/cpu/x86_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

using IntegerTag = hn::Rebind<std::int32_t, FloatTag>;
using IntegerVector = hn::Vec<IntegerTag>;

// Adding 1.5 * 2^23 to |x| <= 2^22 rounds it to an integer n, ties to even, and leaves n in the sum's low bits:
// bits(1.5 * 2^23 + n) = 0x4B400000 + n.
inline constexpr float rounding_float = 12582912.0f;
inline constexpr std::int32_t rounding_bits = 0x4B400000;

// Integers in the range of T, in 32 bits each, to bytes. (TruncateTo of Highway 1.0.3 is wrong on AVX3_DL.)
template <class T> HWY_INLINE void store_bytes(IntegerVector value, T* to) {
  const hn::Rebind<T, FloatTag> bytes;
  hn::StoreU(hn::DemoteTo(bytes, value), bytes, to);
}

// How the values of one range are quantised. The limits are those of the result less the zero point.
struct RowQuantizer {
  float scale, inverse, low, high;
  std::int32_t zero;
  // A product with the inverse serves where both are normal numbers: then it is off by at most 1.5 * 2^-23 of itself.
  bool divides;

  RowQuantizer(float scale_of_row, std::int32_t zero_point, std::int32_t lowest, std::int32_t highest)
      : scale(scale_of_row),
        inverse(1.0f / scale_of_row),
        low(static_cast<float>(lowest - zero_point)),
        high(static_cast<float>(highest - zero_point)),
        zero(zero_point),
        divides(!(std::fabs(inverse) >= std::numeric_limits<float>::min() && std::fabs(inverse) <= std::numeric_limits<float>::max() &&
                  std::fabs(scale) >= std::numeric_limits<float>::min())) {}
};

// Whether Min and Max give their second operand where one is NaN, as the instructions of x86 do.
#undef COTENANT_SECOND_OF_NAN
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
#define COTENANT_SECOND_OF_NAN 1
#else
#define COTENANT_SECOND_OF_NAN 0
#endif

// round(x / scale), not a number as 0, inside the limits, plus offset - rounding_bits.
HWY_INLINE IntegerVector divide_and_round(FloatTag d, FloatVector x, FloatVector scale, FloatVector low, FloatVector high, IntegerVector offset) {
  const auto quotient = hn::Div(x, scale);
  const auto inside = hn::Min(hn::Max(hn::IfThenElseZero(hn::Eq(quotient, quotient), quotient), low), high);
  return hn::Add(hn::BitCast(IntegerTag{}, hn::Add(inside, hn::Set(d, rounding_float))), offset);
}
// bits whose low byte is round(x * inverse) inside the limits, plus the zero point, which is part of `magic`: rounding_float + it.
// `distance` grows to the largest distance between a product and its rounded value, as bits: NaN is more than any number.
HWY_INLINE IntegerVector multiply_and_round(FloatTag d, FloatVector x, FloatVector inverse, FloatVector low, FloatVector high, FloatVector magic,
    IntegerVector& distance) {
  auto product = hn::Mul(x, inverse);
  if constexpr (!COTENANT_SECOND_OF_NAN)
    distance = hn::IfThenElse(hn::RebindMask(IntegerTag{}, hn::Eq(product, product)), distance, hn::Set(IntegerTag{}, 0x7FFFFFFF));
  product = hn::Min(high, hn::Max(low, product));
  const auto shifted = hn::Add(product, magic);
  distance = hn::Max(distance, hn::BitCast(IntegerTag{}, hn::Abs(hn::Sub(product, hn::Sub(shifted, magic)))));
  static_cast<void>(d);
  return hn::BitCast(IntegerTag{}, shifted);
}

// The low bytes of four vectors, one vector after another.
HWY_INLINE void store_low_bytes(IntegerVector a, IntegerVector b, IntegerVector c, IntegerVector e, void* to) {
#if HWY_TARGET == HWY_SCALAR || (defined(HWY_HAVE_SCALABLE) && HWY_HAVE_SCALABLE) || HWY_TARGET == HWY_RVV
  const IntegerTag integer;
  const hn::Rebind<std::uint8_t, FloatTag> bytes;
  const auto low = hn::Set(integer, 255);
  auto* const place = static_cast<std::uint8_t*>(to);
  hn::StoreU(hn::DemoteTo(bytes, hn::And(a, low)), bytes, place);
  hn::StoreU(hn::DemoteTo(bytes, hn::And(b, low)), bytes, place + hn::Lanes(bytes));
  hn::StoreU(hn::DemoteTo(bytes, hn::And(c, low)), bytes, place + 2 * hn::Lanes(bytes));
  hn::StoreU(hn::DemoteTo(bytes, hn::And(e, low)), bytes, place + 3 * hn::Lanes(bytes));
#else
  // Each lane gets the bytes a, c, b, e; inside each block of 16 bytes they are sorted by vector, and then the blocks' quarters.
  const hn::Repartition<std::uint16_t, FloatTag> words;
  const hn::Repartition<std::uint8_t, FloatTag> bytes;
  const hn::RebindToUnsigned<IntegerTag> lanes;
  const auto ab = hn::OddEven(hn::BitCast(words, hn::ShiftLeft<16>(hn::BitCast(lanes, b))), hn::BitCast(words, a));
  const auto ce = hn::OddEven(hn::BitCast(words, hn::ShiftLeft<16>(hn::BitCast(lanes, e))), hn::BitCast(words, c));
  const auto all = hn::OddEven(hn::BitCast(bytes, hn::ShiftLeft<8>(ce)), hn::BitCast(bytes, ab));
  HWY_ALIGN static constexpr std::uint8_t by_vector[16] = {0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15};
  const auto sorted = hn::TableLookupBytes(all, hn::LoadDup128(bytes, by_vector));
#if COTENANT_X86_DOT
  HWY_ALIGN static constexpr std::int32_t order[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  hn::StoreU(lookup_lanes(hn::BitCast(FloatTag{}, sorted), hn::Load(IntegerTag{}, order)), FloatTag{}, static_cast<float*>(to));
#else
  static_assert(hn::MaxLanes(FloatTag()) <= 8);
  if constexpr (hn::MaxLanes(FloatTag()) == 8) {
    const hn::Half<IntegerTag> half;
    const auto first = hn::LowerHalf(half, hn::BitCast(IntegerTag{}, sorted)), second = hn::UpperHalf(half, hn::BitCast(IntegerTag{}, sorted));
    hn::StoreU(hn::InterleaveLower(half, first, second), half, static_cast<std::int32_t*>(to));
    hn::StoreU(hn::InterleaveUpper(half, first, second), half, static_cast<std::int32_t*>(to) + 4);
  } else {
    hn::StoreU(sorted, bytes, static_cast<std::uint8_t*>(to));
  }
#endif
#endif
}

template <std::int64_t Compiled> struct QuantizeRows {
  // to[i] = clamp(round(x[i] / scale) + zero); see RowQuantizer. T is int8_t or uint8_t. Where it streams, elements behind these are asked for.
  template <class T> static void quantize(const float* HWY_RESTRICT x, std::size_t count, const RowQuantizer& row, T* to, bool streams = false) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto inverse = hn::Set(d, row.inverse), low = hn::Set(d, row.low), high = hn::Set(d, row.high);
    const auto magic = hn::Set(d, rounding_float + static_cast<float>(row.zero));
    // The product and the rounded quotient are both within 1.5 * 2^-23 of the true quotient, so at most 256 * 1.5 * 2^-22 < 2^-13
    // apart where they are not clamped. Only if a tie lies between them can they round to different integers.
    const auto near_tie = hn::BitCast(IntegerTag{}, hn::Set(d, 0.5f - 0x1p-13f));
    std::size_t i = 0;
    if (!row.divides)
      for (; i + 4 * lanes <= count; i += 4 * lanes) {
        auto distance = hn::Zero(IntegerTag{});
        if (streams)
          for (std::size_t line = 0; line < 4 * lanes; line += 16) ask_ahead(x + i + line);
        const auto first = multiply_and_round(d, hn::LoadU(d, x + i), inverse, low, high, magic, distance);
        const auto second = multiply_and_round(d, hn::LoadU(d, x + i + lanes), inverse, low, high, magic, distance);
        const auto third = multiply_and_round(d, hn::LoadU(d, x + i + 2 * lanes), inverse, low, high, magic, distance);
        const auto fourth = multiply_and_round(d, hn::LoadU(d, x + i + 3 * lanes), inverse, low, high, magic, distance);
        if (HWY_UNLIKELY(!hn::AllTrue(IntegerTag{}, hn::Lt(distance, near_tie)))) divide(x + i, 4 * lanes, row, to + i);
        else store_low_bytes(first, second, third, fourth, to + i);
      }
    if (i < count) divide(x + i, count - i, row, to + i);
  }
  // The same where each element has a scale and a zero point (as a float) of its own.
  template <class T> static void quantize_each(const float* HWY_RESTRICT x, std::size_t count, const float* HWY_RESTRICT scale,
      const float* HWY_RESTRICT zero, std::int32_t lowest,
                            std::int32_t highest, T* to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto low = hn::Set(d, static_cast<float>(lowest)), high = hn::Set(d, static_cast<float>(highest));
    const auto offset = hn::Set(IntegerTag{}, -rounding_bits);
    for (std::size_t i = 0; i < count; i += lanes) {
      HWY_ALIGN float rest[3][HWY_MAX_BYTES / sizeof(float)];
      const float *from = x + i, *scales = scale + i, *zeros = zero + i;
      const bool whole = i + lanes <= count;
      if (!whole) {
        const float* parts[] = {from, scales, zeros};
        for (std::size_t part = 0; part < 3; ++part) {
          hn::Store(hn::Set(d, 1.0f), d, rest[part]);
          std::copy_n(parts[part], count - i, rest[part]);
        }
        from = rest[0], scales = rest[1], zeros = rest[2];
      }
      const auto shift = hn::LoadU(d, zeros);
      const auto q = divide_and_round(d, hn::LoadU(d, from), hn::LoadU(d, scales), hn::Sub(low, shift), hn::Sub(high, shift),
                                      hn::Add(offset, hn::ConvertTo(IntegerTag{}, shift)));
      if (whole) store_bytes(q, to + i);
      else store_some(q, count - i, to + i);
    }
  }

  // to[i] = (q[i] - zero) * scale. Past the caches where Streams: then `to` is aligned to a vector.
  template <bool Streams = false, class Q> static void dequantize(const Q* HWY_RESTRICT q, std::size_t count, float scale, float zero, float* HWY_RESTRICT to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto factor = hn::Set(d, scale), shift = hn::Set(d, zero);
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
      const auto first = hn::Mul(hn::Sub(load_vector(d, q + i), shift), factor), second = hn::Mul(hn::Sub(load_vector(d, q + i + lanes), shift), factor);
      if constexpr (Streams) {
        ask_ahead(q + i);
        hn::Stream(first, d, to + i);
        hn::Stream(second, d, to + i + lanes);
      } else {
        hn::StoreU(first, d, to + i);
        hn::StoreU(second, d, to + i + lanes);
      }
    }
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Mul(hn::Sub(load_vector(d, q + i), shift), factor), d, to + i);
    for (; i < count; ++i) to[i] = (static_cast<float>(q[i]) - zero) * scale;
  }
  template <class Q> static void dequantize_each(const Q* HWY_RESTRICT q, std::size_t count, const float* HWY_RESTRICT scale, const float* HWY_RESTRICT zero,
                                                 float* HWY_RESTRICT to) {
    const FloatTag d;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d))
      hn::StoreU(hn::Mul(hn::Sub(load_vector(d, q + i), hn::LoadU(d, zero + i)), hn::LoadU(d, scale + i)), d, to + i);
    for (; i < count; ++i) to[i] = (static_cast<float>(q[i]) - zero[i]) * scale[i];
  }

  // The least and the greatest of low, high and x[i]; NaN is passed over.
  static void extend(const float* x, std::size_t count, float& low, float& high) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    auto least0 = hn::Set(d, low), least1 = least0, least2 = least0, least3 = least0;
    auto greatest0 = hn::Set(d, high), greatest1 = greatest0, greatest2 = greatest0, greatest3 = greatest0;
    std::size_t i = 0;
    for (; i + 4 * lanes <= count; i += 4 * lanes) {
      step(d, x + i, least0, greatest0);
      step(d, x + i + lanes, least1, greatest1);
      step(d, x + i + 2 * lanes, least2, greatest2);
      step(d, x + i + 3 * lanes, least3, greatest3);
    }
    for (; i + lanes <= count; i += lanes) step(d, x + i, least0, greatest0);
    low = hn::GetLane(hn::MinOfLanes(d, hn::Min(hn::Min(least0, least1), hn::Min(least2, least3))));
    high = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(greatest0, greatest1), hn::Max(greatest2, greatest3))));
    for (; i < count; ++i) {
      if (x[i] < low) low = x[i];
      if (x[i] > high) high = x[i];
    }
  }
  // The same for each of `count` columns.
  static void extend_each(const float* HWY_RESTRICT x, std::size_t count, float* HWY_RESTRICT low, float* HWY_RESTRICT high) {
    const FloatTag d;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
      const auto value = hn::LoadU(d, x + i), lower = hn::LoadU(d, low + i), upper = hn::LoadU(d, high + i);
      hn::StoreU(hn::IfThenElse(hn::Lt(value, lower), value, lower), d, low + i);
      hn::StoreU(hn::IfThenElse(hn::Gt(value, upper), value, upper), d, high + i);
    }
    for (; i < count; ++i) {
      if (x[i] < low[i]) low[i] = x[i];
      if (x[i] > high[i]) high[i] = x[i];
    }
  }

 private:
  static HWY_INLINE void step(FloatTag d, const float* from, FloatVector& lower, FloatVector& upper) {
    const auto value = hn::LoadU(d, from);
#if COTENANT_SECOND_OF_NAN
    lower = hn::Min(value, lower);
    upper = hn::Max(value, upper);
#else
    lower = hn::IfThenElse(hn::Lt(value, lower), value, lower);
    upper = hn::IfThenElse(hn::Gt(value, upper), value, upper);
#endif
  }
  template <class T> static void store_some(IntegerVector q, std::size_t count, T* to) {
    HWY_ALIGN T bytes[HWY_MAX_BYTES];
    store_bytes(q, bytes);
    std::memcpy(to, bytes, count);
  }

  // By division.
  template <class T> static HWY_NOINLINE void divide(const float* x, std::size_t count, const RowQuantizer& row, T* to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto scale = hn::Set(d, row.scale), low = hn::Set(d, row.low), high = hn::Set(d, row.high);
    const auto offset = hn::Set(IntegerTag{}, row.zero - rounding_bits);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) store_bytes(divide_and_round(d, hn::LoadU(d, x + i), scale, low, high, offset), to + i);
    if (i == count) return;
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)] = {};
    std::copy_n(x + i, count - i, rest);
    store_some(divide_and_round(d, hn::Load(d, rest), scale, low, high, offset), count - i, to + i);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
