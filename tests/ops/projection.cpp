// A projection takes rows of one width to another, wherever its matrix lies.
#include <cotenant/ops/projection.hpp>

#include <cotenant/share/manager.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("a matrix is a form's projection") {
  const auto matrix = tensor<float>({1, 0, 0, 2, 1, 1}, {3, 2});
  const Projection narrower = projection(matrix);
  CHECK(narrower.in == 3);
  CHECK(narrower.out == 2);
  CHECK_THROWS_AS(matrix.check_writable(), ReadOnly);
  TensorSharingManager manager;
  manager.register_tensor("x", from<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  manager.set_form("x", "m", {.projection = narrower});
  manager.set_form("x", "n", {.projection = narrower});
  const auto lease = manager.get<float>("x", "m");
  CHECK(lease->shape() == Shape{2, 2});
  const float expected[] = {4, 7, 10, 16};
  for (std::size_t i = 0; i < 4; ++i) CHECK(lease->view().data()[i] == expected[i]);
  CHECK(manager.get<float>("x", "n")->block() == lease->block());
  CHECK(manager.get<std::int8_t>("x", "n").quantized().scale.view()(1, 0) == 16.0f / 127);
}

TEST_CASE("projections of bf16 matrices; what is no matrix") {
  CHECK(projection(tensor<bf16>({bf16(1.0f), bf16(2.0f)}, {1, 2})).out == 2);
  CHECK(has(message_of<ShapeError>([] { projection(blank<float>({3})); }), "[3]"));
  CHECK_THROWS_AS(projection(SharedTensor<float, ReferenceHeap>()), InvalidArgument);
}

}  // namespace cotenant::test
