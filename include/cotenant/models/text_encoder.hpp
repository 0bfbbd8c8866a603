// TextEncoder: sentences to embeddings, a tokenizer and an encoder in one.
#ifndef COTENANT_MODELS_TEXT_ENCODER_HPP
#define COTENANT_MODELS_TEXT_ENCODER_HPP
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/models/encoder.hpp"
#include "cotenant/models/wordpiece_files.hpp"

namespace cotenant {

// What sentence-transformers computes for models like all-MiniLM-L6-v2: WordPiece, mean of the last hidden states over
// the tokens, length 1. Longer texts are cut to what the model was trained for.
template <FloatElement W = float, Storage S = Mapped, class P = precision::Stored> class TextEncoder {
 public:
  using Tensor = typename Encoder<W, S, P>::Tensor;

  TextEncoder(WordPiece tokenizer, Encoder<W, S, P> encoder)
      : tokenizer_(std::move(tokenizer)),
        encoder_(std::move(encoder)),
        max_length_(std::min(tokenizer_.options().max_length, encoder_.config().max_length())) {}
  // Errors: those of WordPiece::open and Encoder::open.
  static TextEncoder open(const Checkpoint& checkpoint, std::string model = {}) requires std::same_as<S, Mapped> {
    return TextEncoder(WordPiece::open(checkpoint.folder()), Encoder<W, S, P>::open(checkpoint, std::move(model)));
  }

  const WordPiece& tokenizer() const { return tokenizer_; }
  const Encoder<W, S, P>& encoder() const { return encoder_; }
  // The most tokens of one text, [CLS] and [SEP] included.
  std::size_t max_length() const { return max_length_; }

  // One text: [1, hidden].
  Tensor encode(std::string_view text) const {
    const std::vector<Encoding> one{tokenizer_.encode(text, max_length_)};
    return encoder_.encode(tokenizer_.pad(one));
  }
  // Many texts: [count, hidden], row i for texts[i]. Errors: InvalidArgument for none.
  Tensor encode(std::span<const std::string> texts) const {
    if (texts.empty()) raise<InvalidArgument>("there is no text to encode");
    std::vector<Encoding> encodings;
    for (const std::string& text : texts) encodings.push_back(tokenizer_.encode(text, max_length_));
    std::vector<std::size_t> order(texts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    // Neighbours in length share a batch, so that little of it is padding.
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return encodings[a].ids.size() < encodings[b].ids.size(); });
    const auto like = encoder_.weights().words;
    Tensor all = empty_like<float>(like, {texts.size(), encoder_.config().hidden_size});
    for (std::size_t first = 0; first < order.size();) {
      // About batch_tokens tokens at a time: enough rows to keep a matmul busy, few enough for their scores to fit a cache.
      std::size_t last = first + 1;
      while (last < order.size() && (last + 1 - first) * encodings[order[last]].ids.size() <= batch_tokens) ++last;
      std::vector<Encoding> part;
      for (std::size_t i = first; i < last; ++i) part.push_back(std::move(encodings[order[i]]));
      const Tensor rows = encoder_.encode(tokenizer_.pad(part));
      for (std::size_t i = first; i < last; ++i)
        copy_into(all.select(0, static_cast<std::ptrdiff_t>(order[i])), rows.select(0, static_cast<std::ptrdiff_t>(i - first)));
      first = last;
    }
    return all;
  }

 private:
  static constexpr std::size_t batch_tokens = 1024;

  WordPiece tokenizer_;
  Encoder<W, S, P> encoder_;
  std::size_t max_length_;
};

}  // namespace cotenant

#endif
