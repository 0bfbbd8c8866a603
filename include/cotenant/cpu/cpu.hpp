// Cpu: the backend of host memory. SIMD kernels of the best target this machine has, on all its cores.
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cotenant/core/expr.hpp"
#include "cotenant/cpu/capabilities.hpp"
#include "cotenant/cpu/copy.hpp"
#include "cotenant/cpu/dispatch.hpp"
#include "cotenant/cpu/integers.hpp"
#include "cotenant/cpu/lookup.hpp"
#include "cotenant/cpu/quantized_matmul.hpp"
#include "cotenant/ops/backend.hpp"
#include "cotenant/storage/heap.hpp"

// Not in the passes in which a file of the user's is compiled per target: the kernels of the other targets are missing there.
#if HWY_ONCE && !defined(COTENANT_CPU_CPU_HPP)
#define COTENANT_CPU_CPU_HPP

namespace cotenant {

// Compiled names the targets of this translation unit, so that units with different -m flags have different backends.
// Stateless: any instance serves, from any number of threads. What each member does: its argument struct in ops/.
template <std::int64_t Compiled> class BasicCpu {
 public:
  using storage_type = Heap;
  static constexpr bool runs_when_called = true;
  static constexpr std::string_view name() { return "cpu"; }
  // Where its tensors lie: what generic code copies its operands to (with_best_backend).
  static Heap storage() { return {}; }
  // The CPU target in use, by Highway's name: "AVX2", "AVX3", "NEON" …
  static const char* target_name() {
    return cpu::dispatch<Compiled>([](auto kernels) { return kernels.target_name(); });
  }
  static Capabilities capabilities() {
    Capabilities result = machine_capabilities();
    result.cpu_target = target_name();
    result.vector_bytes = cpu::dispatch<Compiled>([](auto kernels) { return kernels.vector_bytes(); });
    result.threads = cpu::thread_count();
    return result;
  }
  void synchronize() const {}

  template <class T> void copy(const CopyArguments<T>& arguments) const { cpu::copy<T>(arguments.in.view, arguments.out.view); }

  template <class Out, class E, class... In> void map(const MapArguments<Out, E, In...>& arguments) const {
    if constexpr (std::integral<compute_type<Out, In...>>) cpu::map_integers(arguments);
    else map_floats(arguments.expression, arguments.out.view, arguments.in);
  }

  template <class A, class B, class Out, class E, class... Extra> void matmul(const MatmulArguments<A, B, Out, E, Extra...>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.matmul(arguments, std::index_sequence_for<Extra...>{}); });
  }

  template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.softmax(arguments); });
  }

  template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.attention(arguments); });
  }

  template <class Kind, class In, class Out> void reduce(const ReduceArguments<Kind, In, Out>& arguments) const {
    if constexpr (std::integral<compute_type<In>> && !std::same_as<Kind, reduction::Mean>) cpu::reduce_integers(arguments);
    else cpu::dispatch<Compiled>([&](auto kernels) { kernels.reduce(arguments); });
  }

  template <class T> void top_k(const TopKArguments<T>& arguments) const { cpu::top_k(arguments); }

  template <class In, class Residual, class Parameter, class Sum, class Out>
  void norm(const NormArguments<In, Residual, Parameter, Sum, Out>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.norm(arguments); });
  }

  template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.rotary(arguments); });
  }

  template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& arguments) const { cpu::gather(arguments); }

  template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.quantize(arguments); });
  }
  template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.dequantize(arguments); });
  }
  template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& arguments) const {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.dynamic_quantize(arguments); });
  }
  // An element-wise function of floats, so it is recorded like a user's.
  template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& arguments) const {
    const auto number = [](auto x) { return clamp(round(select(x == x, x, 0.f)), -1e6f, 1e6f); };  // NaN gives the zero point
    const auto run = [&](auto function, const auto&... zeros) {
      map_floats(expr::record<3 + sizeof...(zeros)>(function), arguments.out.view, std::tuple{arguments.in, arguments.in_scale, arguments.scale, zeros...});
    };
    const auto& in_zero = arguments.in_zero_point;
    const auto& zero = arguments.zero_point;
    if (in_zero.block == nullptr && zero.block == nullptr) run([=](auto x, auto from, auto to) { return number(x * from / to); });
    else if (in_zero.block == nullptr) run([=](auto x, auto from, auto to, auto z) { return number(x * from / to) + z; }, zero);
    else if (zero.block == nullptr) run([=](auto x, auto from, auto to, auto z) { return number((x - z) * from / to); }, in_zero);
    else run([=](auto x, auto from, auto to, auto z, auto y) { return number((x - z) * from / to) + y; }, in_zero, zero);
  }

  template <class A, class B, class Out, class E, class... Extra>
  void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& arguments) const {
    if constexpr (std::integral<A>)
      if (std::same_as<B, i4x2> || arguments.a_scale.shape().back() != 1 || arguments.b_scale.shape()[arguments.out.shape().rank() - 2] != 1)
        return cpu::multiply_dequantized(*this, arguments);
    if constexpr (FloatElement<A> || !std::same_as<B, i4x2>)
      cpu::dispatch<Compiled>([&](auto kernels) { kernels.quantized_matmul(cpu::rows_together(arguments)); });
  }

 private:
  template <class E, class Out, class... In> static void map_floats(const E& expression, const View<Out>& out, const std::tuple<Operand<const In>...>& in) {
    cpu::dispatch<Compiled>([&](auto kernels) { kernels.map(expression, out, in, std::index_sequence_for<In...>{}); });
  }
};

// The CPU backend of this translation unit: the one that host memory is computed on.
using Cpu = BasicCpu<HWY_TARGETS>;
static_assert(Backend<Cpu>);
template <> struct backend_for<HostBackend> { using type = Cpu; };

}  // namespace cotenant

#endif
