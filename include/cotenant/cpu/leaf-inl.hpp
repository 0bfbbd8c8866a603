// Leaves of the blocked product: what one multiply-add step does with a vector of 32-bit lanes.
#if defined(COTENANT_CPU_LEAF_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_LEAF_INL_HPP
#undef COTENANT_CPU_LEAF_INL_HPP
#else
#define COTENANT_CPU_LEAF_INL_HPP
#endif
#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "cotenant/cpu/x86_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// A lane is the unit of the product: it holds `per_lane` neighbours along k of one row (left) or column (right). Sums are
// lanes too, added by add(). Vectors are typed as floats whatever their bits mean, so that the blocked loops are one text.
// A leaf whose elements are not floats takes operands of exactly its element type; FloatLeaf takes any, converted.
struct FloatLeaf {
  static constexpr std::size_t per_lane = 1;
  static constexpr bool is_exact = false;
  static HWY_INLINE COTENANT_DOT_CODE FloatVector accumulate(FloatVector sum, FloatVector left, FloatVector right) { return hn::MulAdd(left, right, sum); }
  static HWY_INLINE COTENANT_DOT_CODE FloatVector add(FloatVector a, FloatVector b) { return hn::Add(a, b); }
};

// bf16 · bf16 with sums in floats. Without the hardware's instruction, FloatLeaf on converted operands is faster.
template <bool Hardware> struct Bf16Leaf {
  static constexpr std::size_t per_lane = 2;
  static constexpr bool is_exact = false;
  static HWY_INLINE COTENANT_DOT_CODE FloatVector accumulate(FloatVector sum, FloatVector left, FloatVector right) {
#if COTENANT_X86_DOT
    if constexpr (Hardware) return dot_bf16(sum, left, right);
    else
#endif
      return dot_bf16_anywhere(sum, left, right);
  }
#if COTENANT_X86_DOT
  // Lanes of two floats rounded to bf16, `first` in the lower half.
  static HWY_INLINE COTENANT_DOT_CODE FloatVector pair(FloatVector first, FloatVector second) { return pair_of_bf16(first, second); }
#endif
  static HWY_INLINE COTENANT_DOT_CODE FloatVector add(FloatVector a, FloatVector b) { return hn::Add(a, b); }
};

// u8 · i8 with exact sums in i32 (mod 2^32), whose bits are in the lanes until they are scaled.
template <bool Hardware> struct IntegerLeaf {
  static constexpr std::size_t per_lane = 4;
  static constexpr bool is_exact = true;
  static HWY_INLINE COTENANT_DOT_CODE FloatVector accumulate(FloatVector sum, FloatVector left, FloatVector right) {
#if COTENANT_X86_DOT
    if constexpr (Hardware) return dot_u8_i8(sum, left, right);
    else
#endif
      return dot_u8_i8_anywhere(sum, left, right);
  }
  static HWY_INLINE COTENANT_DOT_CODE FloatVector add(FloatVector a, FloatVector b) {
    const hn::RebindToSigned<FloatTag> integer;
    return hn::BitCast(FloatTag{}, hn::Add(hn::BitCast(integer, a), hn::BitCast(integer, b)));
  }
  // What cpu::Scaling says: sum - of_row * of_column, in integers, and then sum * column_scale in floats.
  static HWY_INLINE COTENANT_DOT_CODE FloatVector subtract(FloatVector sum, std::int32_t of_row, hn::Vec<hn::RebindToSigned<FloatTag>> of_column) {
    const hn::RebindToSigned<FloatTag> integer;
    return hn::BitCast(FloatTag{}, hn::Sub(hn::BitCast(integer, sum), hn::Mul(hn::Set(integer, of_row), of_column)));
  }
  static HWY_INLINE COTENANT_DOT_CODE FloatVector scale(FloatVector sum, FloatVector column_scale) {
    return hn::Mul(hn::ConvertTo(FloatTag{}, hn::BitCast(hn::RebindToSigned<FloatTag>(), sum)), column_scale);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
