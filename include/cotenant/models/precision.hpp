// Precision: what a model multiplies with. A policy that turns stored weights and activations into operands of matmul.
#ifndef COTENANT_MODELS_PRECISION_HPP
#define COTENANT_MODELS_PRECISION_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "cotenant/ops/quantized_matmul.hpp"
#include "cotenant/share/derive.hpp"

// Each policy has
//   Activation        the element type of what passes from layer to layer
//   Attended          the element type of queries, keys and values, and of what attention makes of them
//   weight(stored)    the right operand [in, out] of a product for a weight stored as [out, in]. What it computes is kept with
//                     the stored weight: all models that hold it share that too
//   input(x)          the left operand for activations x [rows, in]
namespace cotenant::precision {

namespace detail {
// The right operand that convert(stored) gives, kept with the stored weight, whose own pages will hardly be read again.
template <class Kind, TensorLike W, class Convert> auto converted(const W& stored, const Convert& convert) {
  return derive<Kind>(stored, [&] {
           auto result = convert(stored);
           result.freeze();
           return result;
         }, true)
      .transpose();
}
}  // namespace detail

// The weights as they are, in float arithmetic.
struct Stored {
  using Activation = float;
  using Attended = float;
  template <TensorLike W> static auto weight(const W& stored) { return as_tensor(stored).transpose(); }
  template <TensorLike X> static X input(const X& x) { return x; }
};

namespace detail {
// Weights and activations in T, of two bytes; sums in float.
template <class T> struct Halved {
  using Activation = T;
  using Attended = T;
  template <TensorLike W> static auto weight(const W& stored) {
    if constexpr (std::same_as<element_type_of<W>, T>) return as_tensor(stored).transpose();
    else return converted<Halved>(stored, [](const auto& weight) { return cast<T>(weight); });
  }
  template <TensorLike X> static X input(const X& x) { return x; }
};
}  // namespace detail

// Half the bytes of float, and about twice the speed on CPUs that multiply bf16.
struct BFloat16 : detail::Halved<bf16> {};
// The same with three more bits of precision and numbers up to 65504: what GPUs multiply fastest.
struct Float16 : detail::Halved<f16> {};

// Weights in int8, one scale for each output; activations in uint8, their range found for each row when a layer reads it (what
// others call dynamic quantisation). The sums are exact; attention is in bf16, whose eight bits are no fewer than those that its result
// is quantised to; everything else between the products is in float.
struct Int8 {
  using Activation = float;
  using Attended = bf16;
  template <TensorLike W> static auto weight(const W& stored) {
    return detail::converted<Int8>(stored, [](const auto& weight) { return quantize<std::int8_t>(weight, per_row); });
  }
  template <TensorLike X> static auto input(const X& x) { return quantize<std::uint8_t>(x, per_row); }
};

}  // namespace cotenant::precision

#endif
