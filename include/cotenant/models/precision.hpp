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
//   weight(stored)    the right operand [in, out] of a product for a weight stored as [out, in]. What it computes is kept with
//                     the stored weight: all models that hold it share that too
//   input(x)          the left operand for activations x [rows, in]
namespace cotenant::precision {

// The weights as they are, in float arithmetic.
struct Stored {
  using Activation = float;
  template <TensorLike W> static auto weight(const W& stored) { return as_tensor(stored).transpose(); }
  template <TensorLike X> static X input(const X& x) { return x; }
};

// Weights and activations in bf16, sums in float: half the bytes of float, and about twice the speed on CPUs that multiply bf16.
struct BFloat16 {
  using Activation = bf16;
  template <TensorLike W> static auto weight(const W& stored) {
    if constexpr (std::same_as<element_type_of<W>, bf16>) return as_tensor(stored).transpose();
    else
      return derive<BFloat16>(stored, [&] {
               auto converted = cast<bf16>(stored);
               converted.freeze();
               as_tensor(stored).block()->drop_pages(as_tensor(stored).unchecked_view().data(), as_tensor(stored).bytes());
               return converted;
             })
          .transpose();
  }
  template <TensorLike X> static X input(const X& x) { return x; }
};

// Weights in int8, one scale for each output; activations in uint8, their range found for each row when a layer reads it (what
// others call dynamic quantisation). The sums are exact; everything between the products is in float.
struct Int8 {
  using Activation = float;
  template <TensorLike W> static auto weight(const W& stored) {
    return derive<Int8>(stored, [&] {
             auto quantized = quantize<std::int8_t>(stored, per_row);
             quantized.values.freeze();
             quantized.scale.freeze();
             as_tensor(stored).block()->drop_pages(as_tensor(stored).unchecked_view().data(), as_tensor(stored).bytes());
             return quantized;
           })
        .transpose();
  }
  template <TensorLike X> static auto input(const X& x) { return quantize<std::uint8_t>(x, per_row); }
};

}  // namespace cotenant::precision

#endif
