// What the Vulkan backend's ops do, declared: the argument structs of ops/ without their types, and the functions that take them.
#ifndef COTENANT_VULKAN_OPERATIONS_HPP
#define COTENANT_VULKAN_OPERATIONS_HPP
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>

#include "cotenant/core/config.hpp"
#include "cotenant/ops/backend.hpp"
#include "cotenant/vulkan/any_expression.hpp"
#include "cotenant/vulkan/any_operand.hpp"

// The boundary between a program's types and the device's code: nothing behind it is a template of either. Members are those of the
// struct in ops/ that each is made from, where they are explained.
namespace cotenant::vulkan {

class Stream;
struct Team;
struct CooperativeAttentionTile;

struct AnyCopy {
  AnyOperand in, out;
  AnyCopy(const AnyOperand& from, const AnyOperand& to) : in(from), out(to) {}
  template <class T> AnyCopy(const CopyArguments<T>& a) : in(a.in), out(a.out) {}
};

struct AnyMap {
  AnyExpression expression;
  std::span<const AnyOperand> operands;  // the result first
};

struct AnyMatmul {
  AnyOperand a, b, out;
  AnyExpression epilogue;
  std::span<const AnyOperand> extra;
};

struct AnyQuantizedMatmul {
  AnyOperand a, b, a_scale, b_scale, a_zero_point, b_zero_point, out;
  AnyExpression epilogue;
  std::span<const AnyOperand> extra;
  bool pairs_along_k = false;
};

struct AnyAttention {
  AnyOperand q, k, v, mask, out;
  float scale = 1;
  bool causal = false;
  template <class Q, class K, class V, class Mask, class Out> AnyAttention(const AttentionArguments<Q, K, V, Mask, Out>& a)
      : q(a.q), k(a.k), v(a.v), mask(a.mask), out(a.out), scale(a.scale), causal(a.causal) {}
};

struct AnySoftmax {
  AnyOperand in, out;
  bool logarithm = false;
  template <class In, class Out> AnySoftmax(const SoftmaxArguments<In, Out>& a) : in(a.in), out(a.out), logarithm(a.logarithm) {}
};

enum class Reduction : std::uint8_t { sum, mean, maximum, minimum, absolute_maximum };
struct AnyReduce {
  Reduction kind;
  AnyOperand in;
  std::size_t reduced_rank;
  AnyOperand out;
  DType number;  // what is computed in
  template <class Kind, class In, class Out> AnyReduce(const ReduceArguments<Kind, In, Out>& a)
      : kind(std::same_as<Kind, reduction::Sum>       ? Reduction::sum
             : std::same_as<Kind, reduction::Mean>    ? Reduction::mean
             : std::same_as<Kind, reduction::Maximum> ? Reduction::maximum
             : std::same_as<Kind, reduction::Minimum> ? Reduction::minimum
                                                      : Reduction::absolute_maximum),
        in(a.in), reduced_rank(a.reduced_rank), out(a.out), number(kind == Reduction::mean ? DType::f32 : dtype_of<compute_type<In>>) {}
};

struct AnyTopK {
  AnyOperand in, values, indices;
  template <class T> AnyTopK(const TopKArguments<T>& a) : in(a.in), values(a.values), indices(a.indices) {}
};

struct AnyNorm {
  AnyOperand in, residual, scale, bias, sum, out;
  float epsilon = 0;
  bool centered = true;
  template <class In, class Residual, class P, class Sum, class Out> AnyNorm(const NormArguments<In, Residual, P, Sum, Out>& a)
      : in(a.in), residual(a.residual), scale(a.scale), bias(a.bias), sum(a.sum), out(a.out), epsilon(a.epsilon), centered(a.centered) {}
};

struct AnyRotary {
  AnyOperand first, second, cosine, sine, out_first, out_second;
  template <class In, class Table, class Out> AnyRotary(const RotaryArguments<In, Table, Out>& a)
      : first(a.first), second(a.second), cosine(a.cosine), sine(a.sine), out_first(a.out_first), out_second(a.out_second) {}
};

struct AnyGather {
  AnyOperand table, indices, out;
  template <class T, class Index, class Out> AnyGather(const GatherArguments<T, Index, Out>& a) : table(a.table), indices(a.indices), out(a.out) {}
};

// quantize, dequantize and requantize: out = in, made real by the first two parameters, then whole numbers by the others, within
// [low, high]. A parameter without a block is not there.
struct AnyQuantize {
  AnyOperand in, in_scale, in_zero_point, scale, zero_point, out;
  std::int32_t low = 0, high = 0;
  AnyQuantize() = default;
  template <class In, class Q> AnyQuantize(const QuantizeArguments<In, Q>& a)
      : in(a.in), scale(a.scale), zero_point(a.zero_point), out(a.out), low(a.low), high(a.high) {}
  template <class Q, class Out> AnyQuantize(const DequantizeArguments<Q, Out>& a) : in(a.in), in_scale(a.scale), in_zero_point(a.zero_point), out(a.out) {}
  template <class In, class Q> AnyQuantize(const RequantizeArguments<In, Q>& a)
      : in(a.in), in_scale(a.in_scale), in_zero_point(a.in_zero_point), scale(a.scale), zero_point(a.zero_point), out(a.out), low(quantized_lowest<Q>),
        high(quantized_highest<Q>) {}
};

struct AnyDynamicQuantize {
  AnyOperand in, values, scale, zero_point;
  std::int32_t highest;
  template <class In, class Q> AnyDynamicQuantize(const DynamicQuantizeArguments<In, Q>& a)
      : in(a.in), values(a.values), scale(a.scale), zero_point(a.zero_point), highest(quantized_highest<Q>) {}
};

// Each queues kernels on a stream and returns. Errors: Unsupported where the device cannot access such elements; those of Device::launch.
// A team or tile that is given is one to measure, other than the usual one; its vectors must be what the operands allow.
namespace kernels {
// Between host and device, on one device, or from one to another.
COTENANT_VULKAN_INLINE void copy(Stream& stream, const AnyCopy& a);
COTENANT_VULKAN_INLINE void map(Stream& stream, const AnyMap& a);
COTENANT_VULKAN_INLINE void matmul(Stream& stream, const AnyMatmul& a);
COTENANT_VULKAN_INLINE void quantized_matmul(Stream& stream, const AnyQuantizedMatmul& a);
COTENANT_VULKAN_INLINE void attention(Stream& stream, const AnyAttention& a, const CooperativeAttentionTile* tile = nullptr);
COTENANT_VULKAN_INLINE void softmax(Stream& stream, const AnySoftmax& a, const Team* team = nullptr);
COTENANT_VULKAN_INLINE void reduce(Stream& stream, const AnyReduce& a);
COTENANT_VULKAN_INLINE void top_k(Stream& stream, const AnyTopK& a);
COTENANT_VULKAN_INLINE void norm(Stream& stream, const AnyNorm& a, const Team* team = nullptr);
COTENANT_VULKAN_INLINE void rotary(Stream& stream, const AnyRotary& a);
COTENANT_VULKAN_INLINE void gather(Stream& stream, const AnyGather& a);
COTENANT_VULKAN_INLINE void quantize(Stream& stream, const AnyQuantize& a);
COTENANT_VULKAN_INLINE void dynamic_quantize(Stream& stream, const AnyDynamicQuantize& a);

// The same by the argument structs of ops/ whose expressions and lists of operands are types.
template <class Out, class E, class... In> void map(Stream& stream, const MapArguments<Out, E, In...>& a) {
  const ExpressionData<compute_type<Out, In...>, E> expression(a.expression);
  const auto operands = std::apply([&](const auto&... in) { return std::array{AnyOperand(a.out), AnyOperand(in)...}; }, a.in);
  map(stream, AnyMap{expression, operands});
}
template <class A, class B, class Out, class E, class... Extra> void matmul(Stream& stream, const MatmulArguments<A, B, Out, E, Extra...>& a) {
  const ExpressionData<float, E> epilogue(a.epilogue);
  const auto extra = std::apply([](const auto&... x) { return std::array<AnyOperand, sizeof...(Extra)>{AnyOperand(x)...}; }, a.extra);
  matmul(stream, AnyMatmul{a.a, a.b, a.out, epilogue, extra});
}
template <class A, class B, class Out, class E, class... Extra>
void quantized_matmul(Stream& stream, const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) {
  const ExpressionData<float, E> epilogue(a.epilogue);
  const auto extra = std::apply([](const auto&... x) { return std::array<AnyOperand, sizeof...(Extra)>{AnyOperand(x)...}; }, a.extra);
  quantized_matmul(stream, AnyQuantizedMatmul{a.a, a.b, a.a_scale, a.b_scale, a.a_zero_point, a.b_zero_point, a.out, epilogue, extra, a.pairs_along_k});
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
