// Rows of floats times 4-bit weights, four columns at a time: in exact integers where the CPU has dot products of bytes, else in floats.
#if defined(COTENANT_CPU_QUANTIZED_PAIRS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZED_PAIRS_INL_HPP
#undef COTENANT_CPU_QUANTIZED_PAIRS_INL_HPP
#else
#define COTENANT_CPU_QUANTIZED_PAIRS_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/quantized_weights.hpp"
#include "cotenant/cpu/x86_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::size_t> struct SumsOfWeights { using type = FloatVector; };

// A step is a vector of bytes, in each lane of 32 bits eight weights that follow each other; of a left row it takes eight vectors, of which
// vector i has in lane l what weight 8 l + i is multiplied with. Where the scales of a step's quarters lie, from the first one's; the next
// ones come `steps` steps and `next` floats later.
struct ScalesOfStep {
  std::ptrdiff_t second, third, fourth, next;
  std::size_t steps, count, there;  // scales of a whole step, and of this one
  // Of a step of `size` weights, of which there are `weights`.
  ScalesOfStep(const cpu::QuantizedWeights& w, std::size_t size, std::size_t weights)
      : steps(std::max<std::size_t>(1, w.block_size / size)),
        count(std::max<std::size_t>(1, size / w.block_size)),
        there(std::max<std::size_t>(1, std::min(size, weights) / w.block_size)) {
    const auto of_quarter = [&](std::size_t q) { return static_cast<std::ptrdiff_t>(std::min(q * count / 4, there - 1)) * w.scale_block_stride; };
    second = of_quarter(1), third = of_quarter(2), fourth = of_quarter(3);
    next = static_cast<std::ptrdiff_t>(count) * w.scale_block_stride;
  }
};

// Some steps of some columns, a multiple of 4.
struct PairsPart {
  const std::uint8_t* weights;
  std::ptrdiff_t column_stride;
  const float* scales;
  std::ptrdiff_t scale_stride;
  std::ptrdiff_t ahead;  // bytes to what is read later
  std::size_t steps, columns;
};

// Of the 32 bits in each lane the value of 4-bit number `I`.
template <int I> HWY_INLINE FloatVector value_of_nibble(FloatTag d, hn::Vec<hn::RebindToSigned<FloatTag>> bits) {
#if COTENANT_X86_DOT
  // A vector of 16 floats is the table of all values of 4 bits.
  HWY_ALIGN static constexpr float values[16] = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
  return lookup_lanes(hn::Load(d, values), hn::ShiftRight<4 * I>(bits));
#else
  return hn::ConvertTo(d, hn::ShiftRight<28>(hn::ShiftLeft<28 - 4 * I>(bits)));
#endif
}

// Groups of columns C and two rows of floats (or one, where both are the same): see SkinnyProduct for why the sums are parameters.
// A shift and a lookup unpack 16 weights; as many bytes as lanes at a time took 1.2 to 1.3 times as long in cache.
template <std::size_t... C> struct PairsProduct {
  // sums[column], more[column] += the products.
  static void run(PairsPart part, const float* one, const float* two, const ScalesOfStep& scaling, float* sums, float* more) {
    const auto zero = hn::Zero(FloatTag{});
    for (std::size_t column = 0; column < part.columns; column += sizeof...(C)) {
      add(part, one, two, scaling, sums + column, more + column, (static_cast<void>(C), zero)..., (static_cast<void>(C), zero)...);
      part.weights += static_cast<std::ptrdiff_t>(sizeof...(C)) * part.column_stride;
      part.scales += static_cast<std::ptrdiff_t>(sizeof...(C)) * part.scale_stride;
    }
  }

 private:
  static HWY_INLINE void add(const PairsPart& part, const float* one, const float* two, const ScalesOfStep& scaling, float* sums, float* more,
                             typename SumsOfWeights<C>::type... first, typename SumsOfWeights<C>::type... second) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> integer;
    const std::size_t lanes = hn::Lanes(d);
    const bool both = one != two;
    const std::uint8_t* columns[] = {part.weights + static_cast<std::ptrdiff_t>(C) * part.column_stride...};
    const float* scales[] = {part.scales + static_cast<std::ptrdiff_t>(C) * part.scale_stride...};
    const auto lane = hn::Iota(d, 0.0f);
    const auto from = [&](int quarter) { return hn::Ge(lane, hn::Set(d, static_cast<float>(quarter) / 4 * static_cast<float>(lanes))); };
    const auto from_second = from(1), from_third = from(2), from_fourth = from(3);
    const auto scaled = [&](FloatVector sum, FloatVector product, const float* scale) {
      auto scales_of_lanes = hn::IfThenElse(from_second, hn::Set(d, scale[scaling.second]), hn::Set(d, scale[0]));
      scales_of_lanes = hn::IfThenElse(from_third, hn::Set(d, scale[scaling.third]), scales_of_lanes);
      return hn::MulAdd(product, hn::IfThenElse(from_fourth, hn::Set(d, scale[scaling.fourth]), scales_of_lanes), sum);
    };
    for (std::size_t s = 0; s < part.steps;) {
      for (const std::size_t end = std::min(part.steps, s + scaling.steps); s < end; ++s, one += 8 * lanes, two += 8 * lanes) {
        FloatVector products[] = {(static_cast<void>(C), hn::Zero(d))...}, others[] = {(static_cast<void>(C), hn::Zero(d))...};
        (hwy::Prefetch(columns[C] + part.ahead), ...);
        if (both) multiply<true>(one, two, products, others, hn::LoadU(integer, reinterpret_cast<const std::int32_t*>(columns[C]))...);
        else multiply<false>(one, two, products, others, hn::LoadU(integer, reinterpret_cast<const std::int32_t*>(columns[C]))...);
        ((first = scaled(first, products[C], scales[C]), second = both ? scaled(second, others[C], scales[C]) : second, columns[C] += 4 * lanes), ...);
      }
      ((scales[C] += scaling.next), ...);
    }
    ((sums[C] += hn::GetLane(hn::SumOfLanes(d, first))), ...);
    if (both) ((more[C] += hn::GetLane(hn::SumOfLanes(d, second))), ...);
  }

  // One number after the other, of all columns each: chains of additions that depend on each other have time then.
  template <bool Two, class... Bits>
  static HWY_INLINE void multiply(const float* one, const float* two, FloatVector* products, FloatVector* others, Bits... bits) {
    numbers<Two, 0>(one, two, products, others, bits...);
    numbers<Two, 1>(one, two, products, others, bits...);
    numbers<Two, 2>(one, two, products, others, bits...);
    numbers<Two, 3>(one, two, products, others, bits...);
    numbers<Two, 4>(one, two, products, others, bits...);
    numbers<Two, 5>(one, two, products, others, bits...);
    numbers<Two, 6>(one, two, products, others, bits...);
    numbers<Two, 7>(one, two, products, others, bits...);
  }
  template <bool Two, int I, class... Bits>
  static HWY_INLINE void numbers(const float* one, const float* two, FloatVector* products, FloatVector* others, Bits... bits) {
    const FloatTag d;
    const auto x = hn::LoadU(d, one + I * hn::Lanes(d)), y = Two ? hn::LoadU(d, two + I * hn::Lanes(d)) : x;
    FloatVector value;
    ((value = value_of_nibble<I>(d, bits), products[C] = hn::MulAdd(value, x, products[C]),
      others[C] = Two ? hn::MulAdd(value, y, others[C]) : others[C]), ...);
  }
};

#if COTENANT_X86_DOT
// The same in fixed point. Of the floats x of a step each lane's eight become scale (digit0 + 256 digit1 + 65536 digit2), digits in i8: what is
// lost is at most 2^-24 of the largest of the eight, a rounding of that one: beside a number 2^k times larger, its seven neighbours keep 24 - k
// bits, which tells where that one's weight is 0, so that fits() asks for k of at most 8 of the next one. Products with 4-bit weights and a
// lane's sum of them are exact: of random operands the RMS error is 1.1e-7 (depth 768) to 1.7e-7 (4096), in floats 0.9e-7 to 1.7e-7. Six dot
// products do what eight lookups, shifts, multiplications and additions do, so that 17 operations in place of 31 take a vector of bytes.
template <std::size_t... C> struct FixedPairsProduct {
  // Whether every number of a step is finite, and the largest of a lane's eight at most 2^8 times the next one.
  static bool fits(const float* step) {
    const FloatTag d;
    auto largest = hn::Zero(d), next = largest;
    auto finite = hn::IsFinite(largest);
    for (std::size_t i = 0; i < 8; ++i) {
      const auto size = hn::Abs(hn::LoadU(d, step + i * hn::Lanes(d)));
      finite = hn::And(finite, hn::IsFinite(size));
      next = hn::Max(next, hn::Min(largest, size));
      largest = hn::Max(largest, size);
    }
    const auto near = hn::Or(hn::Le(largest, hn::Mul(next, hn::Set(d, 256.0f))), hn::Eq(next, hn::Zero(d)));
    return hn::AllTrue(d, hn::And(finite, near));
  }

  // Eight vectors of finite floats become six of digits, of the even numbers and of the odd ones, one to start a lane's sum with, and the scales.
  static void convert(float* step) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> bits;
    const hn::RebindToSigned<FloatTag> integer;
    const std::size_t lanes = hn::Lanes(d);
    auto largest = hn::Set(d, 0x1p-100f);  // smaller ones keep fewer bits, and the quotients below stay finite
    for (std::size_t i = 0; i < 8; ++i) largest = hn::Max(largest, hn::Abs(hn::LoadU(d, step + i * lanes)));
    // A little less than 0x7F7F7F, the largest number of such digits.
    const auto most = hn::Set(d, 8355700.0f), factor = hn::Div(most, largest);
    // With 128 added to each digit they are unsigned; with their upper bits turned over they are signed.
    const auto middle = hn::Set(bits, 0x00808080u), byte = hn::Set(bits, 0xFFu);
    auto total = hn::Zero(integer);
    hn::Vec<hn::RebindToUnsigned<FloatTag>> digits[6];
    for (auto& digit : digits) digit = hn::Zero(bits);
    for (std::size_t i = 0; i < 8; ++i) {
      const auto number = hn::NearestInt(hn::Mul(hn::LoadU(d, step + i * lanes), factor));
      total = hn::Add(total, number);
      auto rest = hn::Xor(hn::Add(hn::BitCast(bits, number), middle), middle);
      for (std::size_t digit = 0; digit < 3; ++digit, rest = hn::ShiftRight<8>(rest)) {
        auto& place = digits[3 * (i % 2) + digit];
        place = hn::Or(place, hn::ShiftLeftSame(hn::And(rest, byte), static_cast<int>(i / 2 * 8)));
      }
    }
    for (std::size_t i = 0; i < 6; ++i) hn::StoreU(hn::BitCast(d, digits[i]), d, step + i * lanes);
    // The weights are made unsigned by 8, which is taken away here.
    hn::StoreU(hn::BitCast(d, hn::Sub(hn::Zero(integer), hn::ShiftLeft<3>(total))), d, step + 6 * lanes);
    hn::StoreU(hn::Div(largest, most), d, step + 7 * lanes);
  }

  // sums[column] += the products with a row that is converted. The scales of a column lie side by side.
  static COTENANT_DOT_CODE void run(PairsPart part, const float* row, const ScalesOfStep& scaling, float* sums) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> integer;
    const auto scale_of_lane = hn::BitCast(integer, hn::ShiftRight<4>(hn::Mul(hn::Iota(integer, 0), hn::Set(integer, static_cast<int>(scaling.count)))));
    const auto some_scales = hn::FirstN(hn::CappedTag<float, 4>(), scaling.there);
    const auto zero = hn::Zero(d);
    for (float* const end = sums + part.columns; sums != end; sums += 4) {
      add(part, row, scaling, scale_of_lane, some_scales, sums, (static_cast<void>(C), zero)...);
      part.weights += 4 * part.column_stride;
      part.scales += 4 * part.scale_stride;
    }
  }

 private:
  static HWY_INLINE COTENANT_DOT_CODE void add(const PairsPart& part, const float* row, const ScalesOfStep& scaling,
                                               hn::Vec<hn::RebindToSigned<FloatTag>> scale_of_lane, hn::Mask<hn::CappedTag<float, 4>> some_scales,
                                               float* sums, typename SumsOfWeights<C>::type... sum) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> integer;
    const std::size_t lanes = hn::Lanes(d);
    // One pointer that moves, and distances: four pointers and four of scales are more than there are registers.
    const std::uint8_t* column = part.weights;
    const float* scales = part.scales;
    const std::ptrdiff_t to_column[] = {static_cast<std::ptrdiff_t>(C) * part.column_stride...};
    const std::ptrdiff_t to_scales[] = {static_cast<std::ptrdiff_t>(C) * part.scale_stride...};
    // The scales of columns side by side follow each other: a step of four columns takes this many.
    const float* later_scales = scales + 8 * part.scale_stride;
    std::size_t of_block = scaling.steps;
    for (const float* const end = row + part.steps * 8 * lanes; row != end; row += 8 * lanes, column += 4 * lanes) {
      (hwy::Prefetch(column + part.ahead + to_column[C]), ...);
      hwy::Prefetch(later_scales);
      // One operation of all columns after the other.
      const auto zero = hn::Zero(d), start = hn::Load(d, row + 6 * lanes);
      const auto even0 = held(hn::Load(d, row)), even1 = held(hn::Load(d, row + lanes)), even2 = held(hn::Load(d, row + 2 * lanes));
      const FloatVector first[] = {unsigned_nibbles<0>(column + to_column[C])...};
      FloatVector upper[] = {dot_u8_i8(zero, first[C], even2)...}, between[] = {dot_u8_i8(zero, first[C], even1)...};
      FloatVector lower[] = {dot_u8_i8(start, first[C], even0)...};
      const auto odd0 = held(hn::Load(d, row + 3 * lanes)), odd1 = held(hn::Load(d, row + 4 * lanes)), odd2 = held(hn::Load(d, row + 5 * lanes));
      const FloatVector second[] = {unsigned_nibbles<4>(column + to_column[C])...};
      ((upper[C] = dot_u8_i8(upper[C], second[C], odd2)), ...);
      ((between[C] = dot_u8_i8(between[C], second[C], odd1)), ...);
      ((lower[C] = dot_u8_i8(lower[C], second[C], odd0)), ...);
      ((between[C] = plus_digit(between[C], upper[C])), ...);
      ((lower[C] = plus_digit(lower[C], between[C])), ...);
      const auto scale = hn::Load(d, row + 7 * lanes);
      ((sum = hn::MulAdd(hn::Mul(hn::ConvertTo(d, hn::BitCast(integer, lower[C])), scale),
                         lookup_lanes(scales_of_step(some_scales, scales + to_scales[C]), scale_of_lane), sum)),
       ...);
      if (--of_block == 0) of_block = scaling.steps, scales += scaling.next, later_scales += 4 * scaling.next;
    }
    const hn::CappedTag<float, 4> four;
    hn::StoreU(hn::Add(hn::LoadU(four, sums), sums_of_lanes(sum...)), four, sums);
  }
  // At most four floats; a masked load of a whole vector would touch two cache lines three times of four.
  static HWY_INLINE FloatVector scales_of_step(hn::Mask<hn::CappedTag<float, 4>> some, const float* scales) {
    return hn::ZeroExtendVector(FloatTag{}, hn::ZeroExtendVector(hn::Half<FloatTag>(), hn::MaskedLoad(some, hn::CappedTag<float, 4>(), scales)));
  }
  static HWY_INLINE FloatVector neighbours(FloatVector a, FloatVector b) { return hn::Add(hn::ConcatEven(FloatTag{}, b, a), hn::ConcatOdd(FloatTag{}, b, a)); }
  static HWY_INLINE hn::Vec<hn::CappedTag<float, 4>> sums_of_lanes(FloatVector a, FloatVector b, FloatVector c, FloatVector e) {
    auto all = neighbours(neighbours(a, b), neighbours(c, e));
    all = neighbours(all, all);
    return hn::LowerHalf(hn::LowerHalf(neighbours(all, all)));
  }
  // The lower (Shift 0) or upper half of each byte, a number of 4 bits with sign, plus 8.
  template <int Shift> static HWY_INLINE COTENANT_DOT_CODE FloatVector unsigned_nibbles(const std::uint8_t* weights) {
    const hn::RebindToUnsigned<FloatTag> bits;
    const auto both = hn::LoadU(bits, reinterpret_cast<const std::uint32_t*>(weights));
    return hn::BitCast(FloatTag{}, hn::Xor(hn::And(hn::ShiftRight<Shift>(both), hn::Set(bits, 0x0F0F0F0Fu)), hn::Set(bits, 0x08080808u)));
  }
  // lower + 256 upper, in integers.
  static HWY_INLINE COTENANT_DOT_CODE FloatVector plus_digit(FloatVector lower, FloatVector upper) {
    const hn::RebindToUnsigned<FloatTag> bits;
    return hn::BitCast(FloatTag{}, hn::Add(hn::BitCast(bits, lower), hn::ShiftLeft<8>(hn::BitCast(bits, upper))));
  }
};
#endif

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
