// The encoder of a T5-shaped model over leased weights. Source of the formulas: Raffel et al. 2020, section 2.1, and the published weights' layout.
#ifndef COTENANT_EXAMPLES_THREE_MODELS_T5_HPP
#define COTENANT_EXAMPLES_THREE_MODELS_T5_HPP
#include <cotenant/cotenant.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace example {

namespace ct = cotenant;

class T5Encoder {
 public:
  T5Encoder(const ct::Checkpoint& checkpoint, const std::string& model, std::size_t layers, std::size_t heads) : heads_(heads) {
    const auto lease = [&](const std::string& name) { return checkpoint.lease<float>(name, model); };
    bias_ = lease("relative_attention_bias.weight");
    final_norm_ = lease("final_norm.weight");
    for (std::size_t i = 0; i < layers; ++i) {
      const std::string block = "block." + std::to_string(i) + ".";
      layers_.push_back({lease(block + "q.weight"), lease(block + "k.weight"), lease(block + "v.weight"), lease(block + "o.weight"), lease(block + "wi.weight"),
                         lease(block + "wo.weight"), lease(block + "attention_norm.weight"), lease(block + "dense_norm.weight")});
    }
  }

  // x: [length, width], the embeddings of one text. Gives its encoding in the same shape.
  ct::SharedTensor<float> forward(const ct::SharedTensor<float>& embeddings) const {
    const std::size_t length = embeddings.shape(0), width = embeddings.shape(1), head = width / heads_;
    const auto by_head = [&](const ct::SharedTensor<float>& t) { return t.reshape({length, heads_, head}).transpose(0, 1); };
    const auto bias = position_bias(length);
    ct::SharedTensor<float> x = embeddings;
    for (const Layer& layer : layers_) {
      const auto normal = ct::rms_norm(x, layer.attention_norm);
      const auto context = ct::empty<float>({length, width});
      ct::attention_into(by_head(context), by_head(ct::matmul(normal, layer.q->transpose())), by_head(ct::matmul(normal, layer.k->transpose())),
                         by_head(ct::matmul(normal, layer.v->transpose())), {.scale = 1.0f}, bias);
      x = ct::matmul(context, layer.o->transpose(), [](auto sum, auto before) { return sum + before; }, x);
      const auto inner = ct::matmul(ct::rms_norm(x, layer.dense_norm), layer.wi->transpose(), [](auto sum) { return relu(sum); });
      x = ct::matmul(inner, layer.wo->transpose(), [](auto sum, auto before) { return sum + before; }, x);
    }
    return ct::rms_norm(x, final_norm_);
  }

 private:
  struct Layer {
    ct::Lease<float, ct::Mapped> q, k, v, o, wi, wo, attention_norm, dense_norm;
  };

  // [heads, length, length]: a number for each head and distance; 16 buckets each way, half of them for one distance, the rest for ranges up to 128.
  ct::SharedTensor<float> position_bias(std::size_t length) const {
    ct::SharedTensor<float> out = ct::empty<float>({heads_, length, length});
    const auto table = bias_->view();
    const auto to = out.mutable_view();
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t j = 0; j < length; ++j) {
        const std::size_t distance = i < j ? j - i : i - j;
        const std::size_t near =
            distance < 8 ? distance : std::min<std::size_t>(15, 8 + static_cast<std::size_t>(std::log(static_cast<double>(distance) / 8) / std::log(16.0) * 8));
        for (std::size_t h = 0; h < heads_; ++h) to(h, i, j) = table(near + (j > i ? 16 : 0), h);
      }
    return out;
  }

  std::size_t heads_;
  ct::Lease<float, ct::Mapped> bias_, final_norm_;
  std::vector<Layer> layers_;
};

}  // namespace example

#endif
