// The norms' common part: both kinds on the same rows, element types that differ, rows without elements.
#include <cotenant/ops/layer_norm.hpp>
#include <cotenant/ops/rms_norm.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("centred rows have one result in both norms, others not") {
  const auto scale = tensor({1.f, 1.f}, {2}), none = blank<float>({2});
  const auto centred = tensor({-1.f, 1.f}, {2}), shifted = tensor({1.f, 3.f}, {2});
  CHECK(list(layer_norm(centred, scale, none)) == list(rms_norm(centred, scale, 1e-5f)));
  CHECK(list(layer_norm(shifted, scale, none)) == list(layer_norm(centred, scale, none)));
  CHECK(list(rms_norm(shifted, scale, 1e-5f)) != list(rms_norm(centred, scale, 1e-5f)));
}

TEST_CASE("a sum is normalised before it is rounded to its element") {
  // 256 + 1 is no bf16: rounded first, both elements would be 256.
  const auto x = tensor({bf16(256.f), bf16(256.f)}, {2}), residual = tensor({bf16(1.f), bf16(0.f)}, {2});
  const auto sum = blank<bf16>({2});
  const auto out = blank<float>({2});
  const auto scale = tensor({1.f, 1.f}, {2}), none = blank<float>({2});
  layer_norm_into(out, x, scale, none, 0.f, residual, sum);
  CHECK(list(out) == Values{1, -1});
  CHECK(list(sum) == Values{256, 256});
}

TEST_CASE("no rows, or rows of nothing, are no error") {
  CHECK(rms_norm(blank<float>({0, 4}), blank<float>({4})).size() == 0);
  CHECK(layer_norm(blank<float>({4, 0}), blank<float>({0}), blank<float>({0})).size() == 0);
}

}  // namespace cotenant::test
