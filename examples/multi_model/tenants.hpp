// Five models that live on one checkpoint and on each other's results: they meet only by name, in a TensorSharingManager.
#ifndef COTENANT_EXAMPLES_MULTI_MODEL_TENANTS_HPP
#define COTENANT_EXAMPLES_MULTI_MODEL_TENANTS_HPP
#include <cotenant/cotenant.hpp>

#include <string>
#include <utility>
#include <vector>

namespace example {
namespace ct = cotenant;

struct Scored {
  std::string text;
  float score = 0;        // cosine similarity
  float probability = 0;  // softmax over all candidates
};

// How much likelier a candidate becomes per unit of cosine: e^20 between opposite... e^2 per 0.1. CLIP learns such a
// factor (its logit_scale); 20 suits sentence embeddings, whose similarities lie between 0 and 1.
inline constexpr float sharpness = 20;

// The best `count` of the candidates with these cosine similarities, a tensor of one element each.
inline std::vector<Scored> best(const ct::SharedTensor<float>& cosines, const std::vector<std::string>& candidates, std::size_t count) {
  const auto probabilities = ct::softmax(ct::map([](auto cosine) { return cosine * sharpness; }, cosines));
  const auto top = ct::top_k(cosines, std::min(count, candidates.size()));
  std::vector<Scored> result;
  for (const std::int32_t index : top.indices.view().span()) {
    const auto i = static_cast<std::size_t>(index);
    result.push_back({candidates[i], cosines.view()(i), probabilities.view()(i)});
  }
  return result;
}

// What tensors are called. Tenants that share use the same names; a tenant on its own puts its name before them.
struct Names {
  std::string prefix;
  std::string operator()(const char* tensor) const { return prefix + tensor; }
};

// The length of each row.
template <class Rows> ct::SharedTensor<float> lengths(const Rows& rows) {
  return ct::map([](auto sum) { return sqrt(sum); }, ct::reduce_sum(ct::map([](auto x) { return x * x; }, rows), {.axes = {-1}}));
}

// Each model below holds its tensors by leases: the corpus as long as it lives, the query until forget_query().

// Nearest sentences to the query.
class SearchModel {
 public:
  SearchModel(ct::TensorSharingManager& manager, Names names, const std::vector<std::string>& sentences)
      : manager_(manager), name_(std::move(names)), sentences_(sentences) {}

  std::vector<Scored> answer(std::size_t count) {
    if (!corpus_) corpus_ = manager_.get<float>(name_("sentence_embeddings"), "search");  // [N, H], rows of length 1
    query_ = manager_.get<float>(name_("text_embedding"), "search");                      // [1, H], length 1
    return best(ct::matmul(*corpus_, query_->select(0, 0)), sentences_, count);
  }
  void forget_query() { query_.release(); }

 private:
  ct::TensorSharingManager& manager_;
  Names name_;
  const std::vector<std::string>& sentences_;
  ct::Lease<float> corpus_, query_;
};

// Which label fits the query best, without training on any.
class ZeroShotClassifier {
 public:
  ZeroShotClassifier(ct::TensorSharingManager& manager, Names names, const std::vector<std::string>& labels)
      : manager_(manager), name_(std::move(names)), labels_(labels) {}

  std::vector<Scored> answer() {
    if (!meanings_) meanings_ = manager_.get<float>(name_("label_embeddings"), "classifier");  // [labels, H]
    query_ = manager_.get<float>(name_("text_embedding"), "classifier");
    return best(ct::matmul(*meanings_, query_->select(0, 0)), labels_, labels_.size());
  }
  void forget_query() { query_.release(); }

 private:
  ct::TensorSharingManager& manager_;
  Names name_;
  const std::vector<std::string>& labels_;
  ct::Lease<float> meanings_, query_;
};

// The same search on the first half of every embedding: views, so it costs no bytes.
class HalfWidthModel {
 public:
  HalfWidthModel(ct::TensorSharingManager& manager, Names names, const std::vector<std::string>& sentences)
      : manager_(manager), name_(std::move(names)), sentences_(sentences) {}

  std::vector<Scored> answer(std::size_t count) {
    const std::size_t width = manager_.get<float>(name_("sentence_embeddings"), "half-width")->shape(-1) / 2;
    if (!corpus_)
      corpus_ = manager_.create_view<float>(name_("sentence_embeddings"), name_("sentence_embeddings_half"), {0, 0}, {sentences_.size(), width}, "half-width");
    query_ = manager_.create_view<float>(name_("text_embedding"), name_("text_embedding_half"), {0, 0}, {1, width}, "half-width");
    // Half a vector of length 1 is shorter: the product is divided by both lengths, in its epilogue.
    const auto cosine = [](auto product, auto row, auto query) { return product / (row * query); };
    return best(ct::matmul(*corpus_, query_->select(0, 0), cosine, lengths(*corpus_), lengths(*query_)), sentences_, count);
  }
  void forget_query() { query_.release(); }

 private:
  ct::TensorSharingManager& manager_;
  Names name_;
  const std::vector<std::string>& sentences_;
  ct::Lease<float> corpus_, query_;
};

struct CompactAnswer {
  std::vector<Scored> nearest;
  float fidelity = 0;  // cosine similarity of the quantised query and the original
};

// The same search on int8 forms: a quarter of the bytes. They are derived from the shared tensors, and registered in turn.
class CompactModel {
 public:
  CompactModel(ct::TensorSharingManager& manager, Names names, const std::vector<std::string>& sentences)
      : manager_(manager), name_(std::move(names)), sentences_(sentences) {}

  CompactAnswer answer(std::size_t count) {
    if (!corpus_) {
      const auto rows = ct::quantize<std::int8_t>(*manager_.get<float>(name_("sentence_embeddings"), "compact"), /*channel_axis=*/0);
      manager_.register_tensor(name_("sentence_embeddings_int8"), rows.values);
      manager_.register_tensor(name_("sentence_embeddings_scale"), rows.scale);
      corpus_ = manager_.get<std::int8_t>(name_("sentence_embeddings_int8"), "compact");
      scale_ = manager_.get<float>(name_("sentence_embeddings_scale"), "compact");
    }
    const ct::Lease original = manager_.get<float>(name_("text_embedding"), "compact");
    const auto quantised = ct::quantize<std::int8_t>(*original);
    manager_.register_tensor(name_("text_embedding_int8"), quantised.values);
    query_ = manager_.get<std::int8_t>(name_("text_embedding_int8"), "compact");
    const auto query = ct::dequantize(*query_, quantised.scale);
    const float product = ct::matmul(query.select(0, 0), original->select(0, 0)).view()();
    return {best(ct::matmul(ct::dequantize(*corpus_, *scale_), query.select(0, 0)), sentences_, count), product / lengths(query).view()(0)};
  }
  void forget_query() { query_.release(); }

 private:
  ct::TensorSharingManager& manager_;
  Names name_;
  const std::vector<std::string>& sentences_;
  ct::Lease<std::int8_t> corpus_, query_;
  ct::Lease<float> scale_;
};

}  // namespace example

#endif
