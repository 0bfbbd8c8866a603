// Operators on values: `x * 2.f + y`, comparisons, select, conversions and bits, on numbers and vectors alike.
#ifndef COTENANT_VULKAN_SPIRV_VALUE_HPP
#define COTENANT_VULKAN_SPIRV_VALUE_HPP
#include <concepts>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "cotenant/core/convert.hpp"
#include "cotenant/vulkan/spirv_module.hpp"

// A C++ number beside a Value becomes a constant of the Value's type; a number beside a vector is repeated.
// Integers wrap. Comparisons give a boolean (or a vector of them); with NaN only != is true. && and || compute both sides.
namespace cotenant::vulkan::spirv {

// The type with as many components as `like`, each a `scalar`.
inline Type shaped_as(Type like, Type scalar) { return like->is_vector() ? scalar->module->vector(scalar, like->count) : scalar; }

// A constant of type t: every component is `number`, converted.
template <class N> requires std::is_arithmetic_v<N> Value constant_of(Type t, N number) {
  const TypeInfo& scalar = t->scalar();
  Module& module = *t->module;
  if (scalar.kind == Kind::boolean) return module.constant_bits(t, number != N{} ? 1 : 0);
  if (scalar.kind == Kind::floating) {
    if (scalar.bits == 64) return module.constant_bits(t, __builtin_bit_cast(std::uint64_t, static_cast<double>(number)));
    if (scalar.bits == 16) return module.constant_bits(t, f16(static_cast<float>(number)).bits);
    return module.constant_bits(t, __builtin_bit_cast(std::uint32_t, static_cast<float>(number)));
  }
  const auto bits = static_cast<std::uint64_t>(cotenant::convert<std::int64_t>(number));
  // A narrow constant fills a word: sign-extended where the type is signed.
  if (scalar.bits == 64) return module.constant_bits(t, bits);
  if (scalar.bits == 32) return module.constant_bits(t, bits & 0xFFFFFFFFu);
  const std::uint64_t mask = (std::uint64_t{1} << scalar.bits) - 1;
  return module.constant_bits(t, scalar.is_signed && (bits >> (scalar.bits - 1) & 1) != 0 ? (bits | ~mask) & 0xFFFFFFFFu : bits & mask);
}
// `number` as a constant of v's own type.
template <class N> Value constant_like(Value v, N number) { return constant_of(v.type, number); }

inline Value bitcast(Type t, Value v) { return t == v.type ? v : v.module().result(Op::Bitcast, t, {v.id}); }

// ---- vectors
[[gnu::cold]] inline Value make_vector(const std::vector<Value>& components) {
  if (components.size() == 1) return components[0];
  Module& module = components[0].module();
  Words ids;
  for (const Value& component : components) ids.push_back(component.id);
  return module.result(Op::CompositeConstruct, module.vector(components[0].type, static_cast<std::uint32_t>(components.size())), ids);
}
inline Value splat(Value scalar, std::uint32_t count) { return make_vector(std::vector<Value>(count, scalar)); }
// Component `index` of a vector; a number is its own component 0.
[[gnu::cold]] inline Value extract(Value v, std::uint32_t index) {
  return v.type->is_vector() ? v.module().result(Op::CompositeExtract, v.type->component, {v.id, index}) : v;
}
// The same with an index that is known at run time only.
inline Value extract(Value v, Value index) { return v.module().result(Op::VectorExtractDynamic, v.type->component, {v.id, index.id}); }

namespace inner {
inline Value repeated(Value v, Type like) { return like->is_vector() && !v.type->is_vector() ? splat(v, like->count) : v; }
[[gnu::cold]] inline Value binary(Op on_floats, Op on_signed, Op on_unsigned, Value a, Value b) {
  const Value left = repeated(a, b.type), right = repeated(b, a.type);
  return a.module().result(a.type->is_float() ? on_floats : a.type->scalar().is_signed ? on_signed : on_unsigned, left.type, {left.id, right.id});
}
[[gnu::cold]] inline Value compare(Op on_floats, Op on_signed, Op on_unsigned, Value a, Value b) {
  const Value left = repeated(a, b.type), right = repeated(b, a.type);
  const Op op = a.type->is_float() ? on_floats : a.type->scalar().is_signed ? on_signed : on_unsigned;
  return a.module().result(op, shaped_as(left.type, a.module().boolean()), {left.id, right.id});
}
template <class N> concept Number = std::is_arithmetic_v<N>;
}  // namespace inner

// ---- arithmetic (also on cooperative matrices, component by component)
inline Value operator+(Value a, Value b) { return inner::binary(Op::FAdd, Op::IAdd, Op::IAdd, a, b); }
inline Value operator-(Value a, Value b) { return inner::binary(Op::FSub, Op::ISub, Op::ISub, a, b); }
[[gnu::cold]] inline Value operator*(Value a, Value b) {
  if (a.type->kind == Kind::cooperative_matrix && b.type->kind != Kind::cooperative_matrix)
    return a.module().result(Op::MatrixTimesScalar, a.type, {a.id, b.id});
  if (a.type->is_vector() && a.type->is_float() && !b.type->is_vector()) return a.module().result(Op::VectorTimesScalar, a.type, {a.id, b.id});
  return inner::binary(Op::FMul, Op::IMul, Op::IMul, a, b);
}
inline Value operator/(Value a, Value b) { return inner::binary(Op::FDiv, Op::SDiv, Op::UDiv, a, b); }
// The remainder has the dividend's sign, as in C++. Integers only.
inline Value operator%(Value a, Value b) { return inner::binary(Op::SRem, Op::SRem, Op::UMod, a, b); }
inline Value operator-(Value a) { return a.module().result(a.type->is_float() ? Op::FNegate : Op::SNegate, a.type, {a.id}); }

// ---- bits
inline Value operator&(Value a, Value b) { return inner::binary(Op::BitwiseAnd, Op::BitwiseAnd, Op::BitwiseAnd, a, b); }
inline Value operator|(Value a, Value b) { return inner::binary(Op::BitwiseOr, Op::BitwiseOr, Op::BitwiseOr, a, b); }
inline Value operator^(Value a, Value b) { return inner::binary(Op::BitwiseXor, Op::BitwiseXor, Op::BitwiseXor, a, b); }
inline Value operator~(Value a) { return a.module().result(Op::Not, a.type, {a.id}); }
inline Value operator<<(Value a, Value b) { return inner::binary(Op::ShiftLeftLogical, Op::ShiftLeftLogical, Op::ShiftLeftLogical, a, b); }
// Arithmetic where a is signed.
inline Value operator>>(Value a, Value b) { return inner::binary(Op::ShiftRightLogical, Op::ShiftRightArithmetic, Op::ShiftRightLogical, a, b); }

// ---- comparisons
inline Value operator<(Value a, Value b) { return inner::compare(Op::FOrdLessThan, Op::SLessThan, Op::ULessThan, a, b); }
inline Value operator<=(Value a, Value b) { return inner::compare(Op::FOrdLessThanEqual, Op::SLessThanEqual, Op::ULessThanEqual, a, b); }
inline Value operator>(Value a, Value b) { return inner::compare(Op::FOrdGreaterThan, Op::SGreaterThan, Op::UGreaterThan, a, b); }
inline Value operator>=(Value a, Value b) { return inner::compare(Op::FOrdGreaterThanEqual, Op::SGreaterThanEqual, Op::UGreaterThanEqual, a, b); }
inline Value operator==(Value a, Value b) {
  if (a.type->is_boolean()) return a.module().result(Op::LogicalEqual, a.type, {a.id, b.id});
  return inner::compare(Op::FOrdEqual, Op::IEqual, Op::IEqual, a, b);
}
inline Value operator!=(Value a, Value b) {
  if (a.type->is_boolean()) return a.module().result(Op::LogicalNotEqual, a.type, {a.id, b.id});
  return inner::compare(Op::FUnordNotEqual, Op::INotEqual, Op::INotEqual, a, b);
}

// ---- booleans
inline Value operator&&(Value a, Value b) { return a.module().result(Op::LogicalAnd, a.type, {a.id, b.id}); }
inline Value operator||(Value a, Value b) { return a.module().result(Op::LogicalOr, a.type, {a.id, b.id}); }
inline Value operator!(Value a) { return a.module().result(Op::LogicalNot, a.type, {a.id}); }

// ---- the same with a C++ number on one side
#define COTENANT_SPIRV_WITH_NUMBER(op)                                                                                          \
  template <inner::Number N> Value operator op(Value a, N b) { return a op constant_of(&a.type->scalar(), b); }               \
  template <inner::Number N> Value operator op(N a, Value b) { return constant_of(&b.type->scalar(), a) op b; }
COTENANT_SPIRV_WITH_NUMBER(+)
COTENANT_SPIRV_WITH_NUMBER(-)
COTENANT_SPIRV_WITH_NUMBER(*)
COTENANT_SPIRV_WITH_NUMBER(/)
COTENANT_SPIRV_WITH_NUMBER(%)
COTENANT_SPIRV_WITH_NUMBER(&)
COTENANT_SPIRV_WITH_NUMBER(|)
COTENANT_SPIRV_WITH_NUMBER(^)
COTENANT_SPIRV_WITH_NUMBER(<<)
COTENANT_SPIRV_WITH_NUMBER(>>)
COTENANT_SPIRV_WITH_NUMBER(<)
COTENANT_SPIRV_WITH_NUMBER(<=)
COTENANT_SPIRV_WITH_NUMBER(>)
COTENANT_SPIRV_WITH_NUMBER(>=)
COTENANT_SPIRV_WITH_NUMBER(==)
COTENANT_SPIRV_WITH_NUMBER(!=)
#undef COTENANT_SPIRV_WITH_NUMBER

// if_true where condition, else if_false; a single condition chooses whole vectors.
[[gnu::cold]] inline Value select(Value condition, Value if_true, Value if_false) {
  const Value yes = inner::repeated(if_true, if_false.type), no = inner::repeated(if_false, if_true.type);
  const Value each = inner::repeated(condition, yes.type);
  return condition.module().result(Op::Select, yes.type, {each.id, yes.id, no.id});
}
template <inner::Number N> Value select(Value condition, Value if_true, N if_false) { return select(condition, if_true, constant_like(if_true, if_false)); }
template <inner::Number N> Value select(Value condition, N if_true, Value if_false) { return select(condition, constant_like(if_false, if_true), if_false); }

// The smaller and the larger. Of floats: the device's own instruction, either operand where one is NaN; see minimum() and maximum() of spirv_math.hpp.
[[gnu::cold]] inline Value min(Value a, Value b) {
  const Value left = inner::repeated(a, b.type), right = inner::repeated(b, a.type);
  return a.module().extended(a.type->is_float() ? Glsl::FMin : a.type->scalar().is_signed ? Glsl::SMin : Glsl::UMin, left.type, {left, right});
}
[[gnu::cold]] inline Value max(Value a, Value b) {
  const Value left = inner::repeated(a, b.type), right = inner::repeated(b, a.type);
  return a.module().extended(a.type->is_float() ? Glsl::FMax : a.type->scalar().is_signed ? Glsl::SMax : Glsl::UMax, left.type, {left, right});
}
template <inner::Number N> Value min(Value a, N b) { return min(a, constant_like(a, b)); }
template <inner::Number N> Value max(Value a, N b) { return max(a, constant_like(a, b)); }

// a * b + c, fused where the device can.
[[gnu::cold]] inline Value fma(Value a, Value b, Value c) {
  const Type t = a.type->is_vector() ? a.type : b.type->is_vector() ? b.type : c.type;
  return a.module().extended(Glsl::Fma, t, {inner::repeated(a, t), inner::repeated(b, t), inner::repeated(c, t)});
}
template <inner::Number N> Value fma(Value a, Value b, N c) { return fma(a, b, constant_like(a, c)); }
template <inner::Number N> Value fma(Value a, N b, Value c) { return fma(a, constant_like(a, b), c); }
template <inner::Number N, inner::Number M> Value fma(Value a, N b, M c) { return fma(a, constant_like(a, b), constant_like(a, c)); }

// The value of v as a number of another kind or width (vectors and cooperative matrices too): floats to integers truncate,
// undefined beyond the integer's range; integers keep their low bits; booleans are 0 and 1, and `!= 0` backwards.
[[gnu::cold]] inline Value convert(Type t, Value v) {
  Module& module = v.module();
  const TypeInfo &from = v.type->scalar(), &to = t->scalar();
  if (&from == &to) return v;
  if (to.kind == Kind::boolean) return v != constant_like(v, 0);
  if (from.kind == Kind::boolean) return select(v, constant_of(t, 1), constant_of(t, 0));
  const bool from_float = from.kind != Kind::integer, to_float = to.kind != Kind::integer;
  if (from_float && to_float) return module.result(Op::FConvert, t, {v.id});
  if (from_float) return module.result(to.is_signed ? Op::ConvertFToS : Op::ConvertFToU, t, {v.id});
  if (to_float) return module.result(from.is_signed ? Op::ConvertSToF : Op::ConvertUToF, t, {v.id});
  if (from.bits == to.bits) return bitcast(t, v);
  if (from.is_signed && from.bits == 32 && to.bits == 64) {
    // From its halves: Mesa 22.3 compares what OpSConvert has made with 0 as if it were not negative.
    const Type words = shaped_as(t, module.u32()), wide = shaped_as(t, module.integer(64, false));
    const Value low = module.result(Op::UConvert, wide, {bitcast(words, v).id}),
                high = module.result(Op::UConvert, wide, {bitcast(words, v >> constant_like(v, 31)).id});
    return bitcast(t, low | high << constant_like(high, 32));
  }
  if (from.is_signed) return module.result(Op::SConvert, t, {v.id});
  // What OpUConvert gives is unsigned.
  return bitcast(t, module.result(Op::UConvert, shaped_as(t, module.integer(to.bits, false)), {v.id}));
}

// Forbids that v's multiplication or addition becomes part of a fused one: its rounding is as it is written.
[[gnu::cold]] inline Value no_contraction(Value v) {
  if (!v.module().arithmetic.regroups) v.module().decorate(v.id, Decoration::NoContraction);  // else it says so already
  return v;
}

}  // namespace cotenant::vulkan::spirv

#endif
