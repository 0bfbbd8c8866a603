// Eigen as a user of it would write the same work: whole expressions, compiled for the machine at hand, OpenMP for products.
#include "bench/peers/peer.hpp"

#if __has_include(<eigen3/Eigen/Dense>)
#include <eigen3/Eigen/Dense>
#include <eigen3/unsupported/Eigen/SpecialFunctions>
#define COTENANT_BENCH_EIGEN
#endif

namespace bench::peers {

#ifdef COTENANT_BENCH_EIGEN
namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Columns = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
using Array = Eigen::Array<float, Eigen::Dynamic, 1>;
using Table = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
Eigen::Index index(std::size_t value) { return static_cast<Eigen::Index>(value); }

template <class A, class B> std::function<void()> product_of(const Product& p, float* out) {
  return [p, out] {
    for (std::size_t i = 0; i < p.batch; ++i)
      Eigen::Map<Rows>(out + i * p.m * p.n, index(p.m), index(p.n)).noalias() =
          Eigen::Map<const A>(static_cast<const float*>(p.a) + i * p.m * p.k, index(p.m), index(p.k)) *
          Eigen::Map<const B>(static_cast<const float*>(p.b) + i * p.k * p.n, index(p.k), index(p.n));
  };
}

}  // namespace

Peers eigen_product(const Product& p) {
  auto out = room(p.batch * p.m * p.n * sizeof(float));
  auto* result = static_cast<float*>(out.get());
  // A row-major matrix stored the other way round is a column-major one.
  const auto run = p.a_transposed ? (p.b_transposed ? product_of<Columns, Columns>(p, result) : product_of<Columns, Rows>(p, result))
                                  : (p.b_transposed ? product_of<Rows, Columns>(p, result) : product_of<Rows, Rows>(p, result));
  return {{"Eigen", run, out, 0.003}};
}

Peers eigen_softmax(const float* x, std::size_t rows, std::size_t columns) {
  auto out = room(rows * columns * sizeof(float));
  const auto run = [=, result = static_cast<float*>(out.get())] {
    // Row by row, so that a row is still in the cache when it is divided by its sum.
    for (std::size_t i = 0; i < rows; ++i) {
      const Eigen::Map<const Array> in(x + i * columns, index(columns));
      Eigen::Map<Array> row(result + i * columns, index(columns));
      row = (in - in.maxCoeff()).exp();
      row *= 1.0f / row.sum();
    }
  };
  return {{"Eigen", run, out, 0}};
}

Peers eigen_unary(Function function, const float* x, std::size_t count) {
  auto out = room(count * sizeof(float));
  const Eigen::Map<const Array> in(x, index(count));
  Eigen::Map<Array> result(static_cast<float*>(out.get()), index(count));
  std::function<void()> run;
  switch (function) {
    case Function::gelu: run = [=]() mutable { result = 0.5f * in * (1.0f + (in * 0.70710678f).erf()); }; break;
    case Function::gelu_tanh: run = [=]() mutable { result = 0.5f * in * (1.0f + (0.79788456f * (in + 0.044715f * in.cube())).tanh()); }; break;
    case Function::sigmoid: run = [=]() mutable { result = in.logistic(); }; break;
    case Function::tanh: run = [=]() mutable { result = in.tanh(); }; break;
    case Function::exp: run = [=]() mutable { result = in.exp(); }; break;
  }
  return {{"Eigen", run, out, 0}};
}

std::vector<std::string> eigen_descriptions() {
  return {"Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION) + ", " +
          Eigen::SimdInstructionSetsInUse()};
}
#else
Peers eigen_product(const Product&) { return {}; }
Peers eigen_softmax(const float*, std::size_t, std::size_t) { return {}; }
Peers eigen_unary(Function, const float*, std::size_t) { return {}; }
std::vector<std::string> eigen_descriptions() { return {"Eigen is not here"}; }
#endif

}  // namespace bench::peers
