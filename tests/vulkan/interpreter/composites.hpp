// Instructions that take numbers as they are: parts of composites, other types for the same bits, values of other lanes.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_COMPOSITES_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_COMPOSITES_HPP
#include <algorithm>
#include <array>
#include <cstdint>

#include "registers.hpp"

namespace cotenant::test::interpreter {

namespace inner {
inline void construct(Registers& r, const Program::Instruction& one) {
  std::uint64_t* to = r.at(one.result);
  for (const std::uint32_t part : one.operands) {
    const std::uint64_t* const from = r.at(part);
    r.each_number(r.type_of(part), [&](std::uint32_t i) { to[i] = from[i]; });
    to += std::size_t{r.type_of(part).slots} * lanes;
  }
}
inline void extract(Registers& r, const Program::Instruction& one) {
  const Type* type = &r.type_of(one.operands[0]);
  std::uint32_t first = 0;
  for (const std::uint32_t index : one.operands.subspan(1)) {
    if (type->kind == Kind::structure) {
      for (std::uint32_t i = 0; i < index; ++i) first += type->members[i]->slots;
      type = type->members[index];
    } else {
      type = type->component, first += index * type->slots;
    }
  }
  const std::uint64_t* const from = r.at(one.operands[0]) + std::size_t{first} * lanes;
  std::uint64_t* const to = r.at(one.result);
  r.each_number(*type, [&](std::uint32_t i) { to[i] = from[i]; });
}
inline void shuffle(Registers& r, const Program::Instruction& one) {
  const std::uint64_t *const a = r.at(one.operands[0]), *const b = r.at(one.operands[1]);
  const std::uint32_t count = r.type_of(one.operands[0]).slots;
  std::uint64_t* to = r.at(one.result);
  for (const std::uint32_t component : one.operands.subspan(2)) {
    const std::uint64_t* const from = component < count ? a + component * lanes : b + (component - count) * lanes;
    r.each_lane([&](std::uint32_t l) { to[l] = component == ~0u ? undefined_bits : from[l]; });
    to += lanes;
  }
}
inline void extract_dynamic(Registers& r, const Program::Instruction& one) {
  const std::uint64_t* const from = r.at(one.operands[0]);
  const std::uint32_t count = r.type_of(one.operands[0]).slots;
  std::uint64_t* const to = r.at(one.result);
  r.each_lane([&](std::uint32_t l) {
    const std::int64_t index = r.index(one.operands[1], l);
    if (index < 0 || index >= count) fault("component " + std::to_string(index) + " of a vector of " + std::to_string(count));
    to[l] = from[static_cast<std::uint32_t>(index) * lanes + l];
  });
}
// Components of another width: the lower-numbered ones of the narrower type are the lower bits of the wider one's.
inline void bitcast(Registers& r, const Program::Instruction& one) {
  const Type &from_type = r.type_of(one.operands[0]), &to_type = r.result_type(one);
  const std::uint64_t* const from = r.at(one.operands[0]);
  std::uint64_t* const to = r.at(one.result);
  const std::uint32_t narrow = std::min(from_type.scalar().bits, to_type.scalar().bits);
  const std::uint32_t in = from_type.scalar().bits / narrow, out = to_type.scalar().bits / narrow;
  const std::uint64_t mask = ~std::uint64_t{0} >> (64 - narrow);
  for (std::uint32_t c = 0; c < to_type.slots; ++c)
    r.each_lane([&](std::uint32_t l) {
      std::uint64_t bits = 0;
      for (std::uint32_t part = 0; part < out; ++part) {
        const std::uint32_t piece = c * out + part;
        bits |= (from[piece / in * lanes + l] >> (piece % in * narrow) & mask) << (part * narrow);
      }
      to[c * lanes + l] = bits;
    });
}

// Over the active lanes; only all of them at once (Reduce).
template <class As, class F> void reduce(Registers& r, const Program::Instruction& one, As, F f) {
  if (one.operands[1] != 0) fault("the interpreter does not know scans of a subgroup");
  const std::uint64_t* const from = r.at(one.operands[2]);
  std::uint64_t* const to = r.at(one.result);
  for (std::uint32_t c = 0; c < r.result_type(one).slots; ++c) {
    const auto first = static_cast<std::uint32_t>(__builtin_ctz(r.active));
    auto sum = As::value(from[c * lanes + first]);
    r.each_lane([&](std::uint32_t l) { if (l != first) sum = f(sum, As::value(from[c * lanes + l])); });
    r.each_lane([&](std::uint32_t l) { to[c * lanes + l] = As::bits(sum); });
  }
}
// The value of lane other(l); of a lane that does not execute it is undefined.
template <class F> void from_lane(Registers& r, const Program::Instruction& one, F other) {
  const std::uint64_t* const from = r.at(one.operands[1]);
  std::uint64_t* const to = r.at(one.result);
  for (std::uint32_t c = 0; c < r.result_type(one).slots; ++c)
    r.each_lane([&](std::uint32_t l) {
      const std::uint64_t lane = other(l);
      to[c * lanes + l] = lane < lanes && (r.active >> lane & 1) != 0 ? from[c * lanes + lane] : undefined_bits;
    });
}
}  // namespace inner

// False: the instruction is none of these.
inline bool composite(Registers& r, const Program::Instruction& one) {
  const auto& x = one.operands;
  switch (one.op) {
    case Op::CompositeConstruct: inner::construct(r, one); return true;
    case Op::CompositeExtract: inner::extract(r, one); return true;
    case Op::VectorShuffle: inner::shuffle(r, one); return true;
    case Op::VectorExtractDynamic: inner::extract_dynamic(r, one); return true;
    case Op::Bitcast: inner::bitcast(r, one); return true;
    case Op::CopyObject: {
      const std::uint64_t* const from = r.at(x[0]);
      std::uint64_t* const to = r.at(one.result);
      r.each_number(r.result_type(one), [&](std::uint32_t i) { to[i] = from[i]; });
      return true;
    }
    default: return false;
  }
}
inline bool subgroup_operation(Registers& r, const Program::Instruction& one) {
  const auto& x = one.operands;
  const auto add = [](auto a, auto b) { return static_cast<decltype(a)>(a + b); };
  const auto smaller = [](auto a, auto b) { return b < a ? b : a; };
  const auto larger = [](auto a, auto b) { return a < b ? b : a; };
  const auto floats = [&](auto f) { with_float(r.result_type(one).scalar(), [&](auto as) { inner::reduce(r, one, as, f); }); };
  const auto integers = [&](bool is_signed, auto f) { with_integer(r.result_type(one).scalar(), is_signed, [&](auto as) { inner::reduce(r, one, as, f); }); };
  switch (one.op) {
    case Op::GroupNonUniformFAdd: floats(add); return true;
    case Op::GroupNonUniformFMin: floats(smaller); return true;
    case Op::GroupNonUniformFMax: floats(larger); return true;
    case Op::GroupNonUniformIAdd: integers(false, add); return true;
    case Op::GroupNonUniformSMin: integers(true, smaller); return true;
    case Op::GroupNonUniformSMax: integers(true, larger); return true;
    case Op::GroupNonUniformUMin: integers(false, smaller); return true;
    case Op::GroupNonUniformUMax: integers(false, larger); return true;
    case Op::GroupNonUniformShuffle: {
      const std::uint64_t* const lane = r.at(x[2]);
      inner::from_lane(r, one, [&](std::uint32_t l) { return lane[l]; });
      return true;
    }
    case Op::GroupNonUniformShuffleXor: {
      const std::uint64_t* const mask = r.at(x[2]);
      inner::from_lane(r, one, [&](std::uint32_t l) { return l ^ mask[l]; });
      return true;
    }
    case Op::GroupNonUniformAny: case Op::GroupNonUniformBallot: {
      const std::uint64_t* const condition = r.at(x[1]);
      std::uint64_t* const to = r.at(one.result);
      std::uint32_t holds = 0;
      r.each_lane([&](std::uint32_t l) { if (condition[l] != 0) holds |= 1u << l; });
      if (one.op == Op::GroupNonUniformAny) r.each_lane([&](std::uint32_t l) { to[l] = holds != 0; });
      else r.each_number(r.result_type(one), [&](std::uint32_t i) { to[i] = i < lanes ? holds : 0; });
      return true;
    }
    default: return false;
  }
}

}  // namespace cotenant::test::interpreter

#endif
