// Trunk: texts to embeddings, whatever the element type of the weights behind it.
#ifndef COTENANT_EXAMPLES_MULTI_MODEL_TRUNK_HPP
#define COTENANT_EXAMPLES_MULTI_MODEL_TRUNK_HPP
#include <cotenant/cotenant.hpp>

#include <functional>
#include <string>
#include <vector>

namespace example {
namespace ct = cotenant;

using Trunk = std::function<ct::SharedTensor<float>(const std::vector<std::string>&)>;

// Each element type W has a file of its own, so that they compile side by side.
template <class W> struct TrunkOf {
  // Weights are views of the mapped checkpoint, leased to the tenant.
  static Trunk open(const ct::Checkpoint& checkpoint, const ct::WordPiece& tokenizer, const std::string& tenant);
  // Weights are the tenant's own copy, registered with the manager under its name.
  static Trunk copy(ct::TensorSharingManager& manager, const ct::Checkpoint& checkpoint, const ct::WordPiece& tokenizer, const std::string& tenant);
};
extern template struct TrunkOf<float>;
extern template struct TrunkOf<ct::f16>;
extern template struct TrunkOf<ct::bf16>;

// Calls f with the TrunkOf that fits the checkpoint. Errors: Unsupported, NotFound.
template <class F> Trunk with_trunk_type(const ct::Checkpoint& checkpoint, F f) {
  switch (ct::encoder_dtype(checkpoint)) {
    case ct::DType::f16: return f(TrunkOf<ct::f16>{});
    case ct::DType::bf16: return f(TrunkOf<ct::bf16>{});
    default: return f(TrunkOf<float>{});
  }
}

}  // namespace example

#endif
