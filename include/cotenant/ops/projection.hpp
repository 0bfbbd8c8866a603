// projection(): a matrix as the adapter of a model that takes a registered tensor in another width.
#ifndef COTENANT_OPS_PROJECTION_HPP
#define COTENANT_OPS_PROJECTION_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>

#include "cotenant/ops/copy.hpp"
#include "cotenant/ops/matmul.hpp"
#include "cotenant/share/form.hpp"

namespace cotenant {

// rows · matrix, with matrix [in, out] of float, f16 or bf16:
//   manager.set_form("text_embedding", "t5-small", {.projection = projection(matrix)});
// Computed where the matrix lies. The matrix is frozen and kept as long as a form of it: register it too where its bytes are to be
// counted. Use one Projection for all models of that width, so that they share what it gives. Errors: ShapeError where it is no matrix.
template <TensorLike W> Projection projection(const W& matrix) {
  static_assert(FloatElement<element_type_of<W>>, "a projection multiplies with float, f16 or bf16 elements: dequantize() integers first");
  check_not_empty("projection", matrix);
  const auto& weights = as_tensor(matrix);
  if (weights.rank() != 2) raise<ShapeError>(Text{"a projection takes a matrix [in, out], but this one has shape ", weights.shape()});
  weights.freeze();
  return Projection(weights.shape(0), weights.shape(1), [weights](const SharedTensor<float, Borrowed>& rows) {
    using S = storage_type_of<W>;
    if constexpr (std::same_as<typename S::backend, HostBackend>) {
      return SharedTensor<float>(matmul<float>(rows, weights));
    } else {
      auto there = empty_like<float>(weights, rows.shape());
      using There = storage_type_of<decltype(there)>;
      if constexpr (There::host_accessible) std::copy_n(rows.view().data(), rows.size(), there.mutable_view().data());
      else copy_into(there, rows);
      const auto product = matmul<float>(there, weights);
      auto out = empty<float>(product.shape());
      copy_into(out, product);
      return out;
    }
  });
}

}  // namespace cotenant

#endif
