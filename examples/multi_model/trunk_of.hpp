// The members of TrunkOf, for the files that instantiate it.
#ifndef COTENANT_EXAMPLES_MULTI_MODEL_TRUNK_OF_HPP
#define COTENANT_EXAMPLES_MULTI_MODEL_TRUNK_OF_HPP
#include <memory>
#include <utility>

#include "trunk.hpp"

namespace example {

template <class W, class S> Trunk as_trunk(const ct::WordPiece& tokenizer, ct::Encoder<W, S> encoder) {
  const auto trunk = std::make_shared<const ct::TextEncoder<W, S>>(tokenizer, std::move(encoder));
  return [trunk](const std::vector<std::string>& texts) { return texts.size() == 1 ? trunk->encode(texts[0]) : trunk->encode(texts); };
}

template <class W, class S, class F> void for_each_weight(const ct::EncoderWeights<W, S>& weights, F f) {
  const auto both = [&](const auto& pair) { f(pair.weight), f(pair.bias); };
  f(weights.words), f(weights.positions), f(weights.token_types), both(weights.embedding_norm), both(weights.pooler);
  for (const auto& layer : weights.layers)
    for (const auto* pair :
         {&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.attention_norm, &layer.intermediate, &layer.output, &layer.output_norm})
      both(*pair);
}

template <class W> Trunk TrunkOf<W>::open(const ct::Checkpoint& checkpoint, const ct::WordPiece& tokenizer, const std::string& tenant) {
  return as_trunk(tokenizer, ct::Encoder<W>::open(checkpoint, tenant));
}

template <class W>
Trunk TrunkOf<W>::copy(ct::TensorSharingManager& manager, const ct::Checkpoint& checkpoint, const ct::WordPiece& tokenizer, const std::string& tenant) {
  auto own = ct::Encoder<W>::open(checkpoint, tenant).copy_to(ct::Heap{});
  std::size_t index = 0;
  for_each_weight(own.weights(), [&](const auto& weight) {
    if (weight) manager.register_tensor(tenant + "/weights/" + std::to_string(index++), weight, {.producer = tenant});
  });
  return as_trunk(tokenizer, std::move(own));
}

}  // namespace example

#endif
