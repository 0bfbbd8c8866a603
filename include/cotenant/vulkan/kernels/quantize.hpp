// quantize, dequantize and requantize on the device, by given parameters.
#ifndef COTENANT_VULKAN_KERNELS_QUANTIZE_HPP
#define COTENANT_VULKAN_KERNELS_QUANTIZE_HPP
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/element_wise.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_math.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on. Operands in the order in, in_scale, in_zero_point, scale, zero_point, out; what is absent is not read:
// quantize has no in_scale, dequantize no scale, requantize both. Of i4x2 one invocation has both values of a byte.
struct QuantizeCode {
  ElementWise<6> elements;
  std::array<std::optional<DType>, 6> types;
};

// x / s rounded to nearest, as its ties must fall: r is 1 / s, and where it is no normal number the device's division has to do.
inline Value quotient(KernelBuilder& k, Value x, Value s, Value r) {
  if (k.module().arithmetic.rounds_division) return x / s;
  const Value first = x * r, rest = fma(-first, s, x), better = fma(rest, r, first);
  const Value size = spirv::inner::magnitude(better);
  const Variable result = k.variable(select(size < 0x7F800000u, better, first));
  Value odd = spirv::inner::magnitude(r) - 0x00800000u >= 0x7F000000u;
  if (odd.type->is_vector()) odd = k.module().result(spirv::Op::Any, k.boolean(), {odd.id});
  k.when(odd, [&] { result.set(x / s); });
  return result.get();
}
// round(x / s) + zero within [low, high], NaN as zero; as an f32 that holds an integer. `zero` may be missing.
inline Value quantized_value_of(KernelBuilder& k, Value x, Value s, Value zero, Value low, Value high) {
  const Value q = quotient(k, x, s, 1.f / s), rounded = select(spirv::is_nan(q), 0.f, spirv::round(q));
  return min(max(zero.exists() ? rounded + zero : rounded, low), high);
}

inline spirv::Words emit_quantize(const Target& target, const QuantizeCode& code) {
  enum { in, in_scale, in_zero, scale, zero, out };
  KernelBuilder k(target, {.workgroup = element_threads});
  std::array<Elements, 6> operand;
  std::array<Value, 6> first, second;
  for (std::size_t i = 0; i < 6; ++i) if (code.types[i]) operand[i] = Elements(k, *code.types[i]);
  for (std::size_t i = 0; i < 6; ++i) if (code.types[i]) first[i] = k.scalar();
  const Value low = k.scalar(k.f32()), high = k.scalar(k.f32());
  const bool from_pairs = code.types[in] == DType::i4x2, to_pairs = code.types[out] == DType::i4x2, pairs = from_pairs || to_pairs;
  // How far the second value of a pair is from the first.
  if (pairs) for (std::size_t i = 0; i < 6; ++i) if (code.types[i]) second[i] = k.scalar();

  const auto constants = load_constants(code.elements, operand, first);
  const auto load = [&](std::size_t i, const std::array<Value, 6>& at) {
    return constants[i].exists() ? constants[i] : load_element(operand[i], code.elements.reading[i], at[i]);
  };
  const auto number = [&](std::size_t i, const std::array<Value, 6>& at) {
    const Value v = load(i, at);
    return convert(shaped_as(v.type, k.f32()), v);
  };
  const auto result = [&](Value value, const std::array<Value, 6>& at) {
    if (code.types[in_scale]) {
      Value difference = value;
      if (code.types[in_zero]) {
        // Sums of 32 bits less a zero point may need 33.
        const bool wide = code.types[in] == DType::i32 && k.capabilities().shader_int64;
        const auto widened = [&](Value v) { return wide ? convert(shaped_as(v.type, k.module().integer(64, true)), v) : v; };
        difference = widened(value) - widened(load(in_zero, at));
      }
      value = convert(shaped_as(difference.type, k.f32()), difference) * number(in_scale, at);
    }
    if (!code.types[scale]) return value;
    const Value q = quantized_value_of(k, value, number(scale, at), code.types[zero] ? number(zero, at) : Value{}, low, high);
    return convert(shaped_as(q.type, k.i32()), q);
  };
  // Where the second value of a pair is.
  const auto second_of = [&](std::array<Value, 6> at) {
    for (std::size_t i = 0; i < 6; ++i) if (code.types[i]) at[i] = at[i] + second[i];
    return at;
  };
  emit_elements(k, code.elements, first, [&](const std::array<Value, 6>& at) {
    if (!pairs) return std::vector{result(load(in, at), at)};
    const std::array<Value, 6> next = second_of(at);
    if (!from_pairs) return std::vector{result(operand[in].load(at[in]), at), result(operand[in].load(next[in]), next)};
    const Value byte = operand[in].load(at[in]);
    return std::vector{result((byte << 28) >> 28, at), result((byte << 24) >> 28, next)};
  }, [&](const std::array<Value, 6>& at, const std::vector<Value>& values) {
    if (!pairs) return store_element(operand[out], code.elements.reading[out], at[out], values[0]);
    if (to_pairs) return operand[out].store(at[out], (values[0] & 15) | ((values[1] & 15) << 4));
    operand[out].store(at[out], values[0]);
    operand[out].store(second_of(at)[out], values[1]);
  });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void quantize(Stream& stream, const AnyQuantize& a) {
  const auto& [in, in_scale, in_zero, scale, zero, out, low, high] = a;
  const bool pairs = in.type() == DType::i4x2 || out.type() == DType::i4x2;
  const std::size_t rank = out.view.rank() - (pairs ? 1 : 0);
  if (out.view.size() == 0) return;
  const Layout layouts[] = {in.view.layout(), in_scale.view.layout(), in_zero.view.layout(), scale.view.layout(), zero.view.layout(), out.view.layout()};
  const std::array<bool, 6> present{true, in_scale.block != nullptr, in_zero.block != nullptr, scale.block != nullptr, zero.block != nullptr, true};
  std::array<const Layout*, 6> there{};
  for (std::size_t i = 0; i < 6; ++i) if (present[i]) there[i] = &layouts[i];
  const auto axes = merged_axes<6>(there, 0, rank);
  const bool four = !pairs && axes.inner_stride(0) == 1 && axes.inner_stride(5) == 1 && allows_vectors(in, 0, axes) && allows_vectors(in_scale, 1, axes) &&
                    allows_vectors(in_zero, 2, axes) && allows_vectors(scale, 3, axes) && allows_vectors(zero, 4, axes) && allows_vectors(out, 5, axes);
  LaunchPlan plan("quantization");
  QuantizeCode code;
  const auto operand = [&](std::size_t i, const AnyOperand& x, Access access) {
    plan.key.append(',');
    if (x.block == nullptr) return;
    code.types[i] = x.type();
    plan.buffer(x, access);
  };
  operand(0, in, Access::read), operand(1, in_scale, Access::read), operand(2, in_zero, Access::read), operand(3, scale, Access::read),
      operand(4, zero, Access::read);
  operand(5, out, Access::write);
  plan.scalar(static_cast<float>(low)), plan.scalar(static_cast<float>(high));
  if (pairs) for (std::size_t i = 0; i < 6; ++i) if (present[i]) plan.scalars.push_back(wrapped(layouts[i].strides[rank]));
  code.elements = plan_elements<6>(plan, axes, present, four, stream.barriers());
  stream.device().launch(stream, plan.launch(), [&](const Target& target) { return emit_quantize(target, code); });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
