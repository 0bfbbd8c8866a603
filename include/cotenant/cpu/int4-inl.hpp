// 4-bit integers, two to a byte, on one CPU target: to a byte each and back.
#if defined(COTENANT_CPU_INT4_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_INT4_INL_HPP
#undef COTENANT_CPU_INT4_INL_HPP
#else
#define COTENANT_CPU_INT4_INL_HPP
#endif
#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "cotenant/cpu/load_store-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Int4Pairs {
  // Two bytes, each a 4-bit integer, to one, and back with their signs. count is the number of pairs.
  static void pack(const std::int8_t* HWY_RESTRICT values, std::size_t count, i4x2* HWY_RESTRICT to) {
    std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::ScalableTag<std::uint8_t> bytes;
    const hn::Repartition<std::uint16_t, decltype(bytes)> words;
    const hn::Half<decltype(bytes)> half;
    const std::size_t lanes = hn::Lanes(words);
    for (; i + lanes <= count; i += lanes) {
      // The word holds 0x0H0L: its byte L | H << 4 comes down.
      const auto two = hn::BitCast(words, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(values) + 2 * i));
      const auto word = hn::And(two, hn::Set(words, std::uint16_t{0x0F0F}));
      const auto pair = hn::And(hn::Or(word, hn::ShiftRight<4>(word)), hn::Set(words, std::uint16_t{0x00FF}));
      hn::StoreU(hn::TruncateTo(half, pair), half, &to[i].bits);
    }
#endif
    for (; i < count; ++i) to[i] = i4x2(values[2 * i], values[2 * i + 1]);
  }
  static void unpack(const i4x2* HWY_RESTRICT pairs, std::size_t count, std::int8_t* HWY_RESTRICT to) {
    std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::ScalableTag<std::int8_t> bytes;
    const hn::Repartition<std::int16_t, decltype(bytes)> words;
    const hn::Half<hn::Repartition<std::uint8_t, decltype(bytes)>> half;
    const std::size_t lanes = hn::Lanes(words);
    for (; i + lanes <= count; i += lanes) {
      // 0x00HL becomes 0x0H0L; then (x ^ 8) - 8 spreads the sign of 4 bits over the byte.
      const auto word = hn::PromoteTo(words, hn::LoadU(half, &pairs[i].bits));
      const auto nibbles = hn::BitCast(bytes, hn::And(hn::Or(word, hn::ShiftLeft<4>(word)), hn::Set(words, std::int16_t{0x0F0F})));
      const auto eight = hn::Set(bytes, std::int8_t{8});
      hn::StoreU(hn::Sub(hn::Xor(nibbles, eight), eight), bytes, to + 2 * i);
    }
#endif
    for (; i < count; ++i) {
      to[2 * i] = static_cast<std::int8_t>(pairs[i].low());
      to[2 * i + 1] = static_cast<std::int8_t>(pairs[i].high());
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
