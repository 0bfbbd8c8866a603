// Eigen and cotenant on the same bytes; and Eigen as an oracle of products that we did not write.
#include <cotenant/cotenant.hpp>
#include <cotenant/interop/eigen.hpp>

#include <doctest/doctest.h>

#include <random>

namespace cotenant::test {
namespace {
SharedTensor<float> random_tensor(const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  auto tensor = empty<float>(shape);
  for (float& x : tensor.mutable_view().span()) x = value(random);
  return tensor;
}
}  // namespace

TEST_CASE("a view is an Eigen matrix on the same bytes, whatever its strides") {
  auto x = from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  auto matrix = as_eigen(x.mutable_view());
  matrix(1, 2) = 60;
  CHECK(x.view()(1, 2) == 60);
  CHECK(as_eigen(x.transpose().view())(2, 1) == 60);
  CHECK(as_eigen(x.slice(1, 2, -1, -2).view())(0, 1) == 1);
  CHECK_THROWS_AS(as_eigen(x.reshape({6}).view()), ShapeError);
}

TEST_CASE("an Eigen matrix is a tensor, column-major too") {
  Eigen::MatrixXf matrix(2, 3);
  matrix << 1, 2, 3, 4, 5, 6;
  const auto tensor = borrow_eigen(matrix);
  CHECK(tensor.shape() == Shape{2, 3});
  CHECK(tensor.view()(0, 2) == 3);
  CHECK(tensor.view()(1, 0) == 4);
  const auto sums = reduce_sum(tensor, {.axes = {1}});
  CHECK(sums.view()(0) == 6);
  CHECK(sums.view()(1) == 15);
}

TEST_CASE("products agree with Eigen's") {
  for (const auto& [m, k, n] : {std::array<std::size_t, 3>{1, 1, 1}, {3, 7, 5}, {64, 64, 64}, {77, 515, 33}, {1, 300, 200}, {130, 20, 1}}) {
    const auto a = random_tensor({m, k}, 1), b = random_tensor({n, k}, 2);
    const auto ours = matmul(a, b.transpose());
    const Eigen::MatrixXf theirs = as_eigen(a.view()) * as_eigen(b.transpose().view());
    const float largest = (as_eigen(ours.view()) - theirs).cwiseAbs().maxCoeff();
    // Both sum k products below 1 in their own order: k roundings of at most k * 2^-24 each would be the worst.
    CHECK(largest <= 1e-6f * static_cast<float>(k + 1));
  }
}
}  // namespace cotenant::test
