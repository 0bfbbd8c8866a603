// TokenBatch: token ids with their masks, what a tokenizer gives and an encoder takes.
#ifndef COTENANT_MODELS_TOKEN_BATCH_HPP
#define COTENANT_MODELS_TOKEN_BATCH_HPP
#include <cstdint>

#include "cotenant/share/tensor.hpp"

namespace cotenant {

// Sequences padded to one length: [batch, length] each. attention_mask is 1 at tokens, 0 at padding.
struct TokenBatch {
  SharedTensor<std::int32_t> ids;
  SharedTensor<std::int32_t> attention_mask;
  SharedTensor<std::int32_t> token_type_ids;
};

// The same as views of any host memory, which must live until the call that takes them returns. A view without data
// stands for its default: a mask of ones, types of zeros.
struct TokenViews {
  TokenViews() = default;
  TokenViews(const TokenBatch& batch) : ids(view_of(batch.ids)), attention_mask(view_of(batch.attention_mask)), token_type_ids(view_of(batch.token_type_ids)) {}
  // Ids alone: [batch, length], or [length] for one sequence.
  TokenViews(const SharedTensor<std::int32_t>& token_ids) : ids(view_of(token_ids)) {
    if (ids.rank() == 1) ids = ids.with(unsqueeze(ids.layout(), 0));
  }
  explicit TokenViews(View<const std::int32_t> token_ids, View<const std::int32_t> mask = {}, View<const std::int32_t> types = {})
      : ids(token_ids), attention_mask(mask), token_type_ids(types) {}

  View<const std::int32_t> ids;
  View<const std::int32_t> attention_mask;
  View<const std::int32_t> token_type_ids;

 private:
  static View<const std::int32_t> view_of(const SharedTensor<std::int32_t>& tensor) { return tensor ? tensor.view() : View<const std::int32_t>{}; }
};

}  // namespace cotenant

#endif
