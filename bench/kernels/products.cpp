// f32 products: every shape of the targets, plain and with packed weights, with an epilogue, on several threads.
#include "bench/kernels/kernels.hpp"

#include <cmath>

namespace bench {
namespace {

struct Case {
  std::size_t m, k, n;
  const char* form = "";  // a, b: that operand is stored transposed
};

// Inputs of one product in the form that was asked for.
struct Operands {
  explicit Operands(const Case& c)
      : stored_a(*c.form == 'a' ? random({c.k, c.m}) : random({c.m, c.k})), stored_b(b_transposed(c) ? random({c.n, c.k}, 7) : random({c.k, c.n}, 7)),
        a(*c.form == 'a' ? stored_a.transpose() : stored_a), out(ct::empty<float>({c.m, c.n})),
        peer{c.m, c.k, c.n, stored_a.view().data(), stored_b.view().data(), *c.form == 'a', b_transposed(c)} {}
  static bool b_transposed(const Case& c) { return std::string(c.form).find('b') != std::string::npos; }

  ct::SharedTensor<float> stored_a, stored_b, a, out;
  peers::Product peer;
};

Row about(const Case& c) {
  Row row;
  row.section = "matmul";
  row.shape = by(c.m, c.k, c.n) + (*c.form == '\0' ? "" : std::string(c.form) == "ab" ? " aᵀbᵀ" : *c.form == 'a' ? " aᵀ" : " bᵀ");
  row.work = 2.0 * static_cast<double>(c.m * c.k * c.n);
  row.target_ratio = c.m * c.k * c.n < 64 * 64 * 64 ? 0 : 1;  // what is smaller measures a call more than a product, and has no target
  // Few rows: every weight is used once or a few times, so that memory is the bound.
  const double bytes = static_cast<double>(sizeof(float)) * static_cast<double>(c.k * c.n);
  if (c.m <= 4) {
    row.bound = bytes > 32e6 ? "read" : "";
    row.bound_work = bytes;
    row.target_share = bytes > 32e6 ? 0.9 : 0;
  } else {
    row.bound = "f32";
    row.target_share = c.m >= 512 ? 0.97 : 0;
  }
  return row;
}

// Rounding of two different orders of summation, relative to the largest sum.
constexpr double tolerance = 1e-5;

void plain(Bench& bench, const Case& c) {
  const Operands operands(c);
  const auto b = operands.peer.b_transposed ? operands.stored_b.transpose() : operands.stored_b;
  bench.row(about(c), [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(operands.out, operands.a, b); }}};
    peers::Peers contestants = peers::blas_product(operands.peer);
    peers::append(contestants, peers::dnn_product(operands.peer));
    peers::append(contestants, peers::eigen_product(operands.peer));
    add(calls, contestants, operands.out.view().data(), c.m * c.n, tolerance);
    return calls;
  });
}

// Root of the mean of squares of (result - exact) / (|row of a| |column of b|), over sixteen rows: what rounding does to a product.
double rounding(const Operands& operands, const float* result) {
  const peers::Product& p = operands.peer;
  const auto a = [&](std::size_t i, std::size_t k) { return double{static_cast<const float*>(p.a)[p.a_transposed ? k * p.m + i : i * p.k + k]}; };
  const auto b = [&](std::size_t k, std::size_t j) { return double{static_cast<const float*>(p.b)[p.b_transposed ? j * p.k + k : k * p.n + j]}; };
  const std::size_t rows = std::min<std::size_t>(p.m, 16);
  double squares = 0;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < p.n; ++j) {
      double exact = 0, left = 0, right = 0;
      for (std::size_t k = 0; k < p.k; ++k) exact += a(i, k) * b(k, j), left += a(i, k) * a(i, k), right += b(k, j) * b(k, j);
      const double off = (double{result[i * p.n + j]} - exact) / std::sqrt(left * right);
      squares += off * off;
    }
  return std::sqrt(squares / static_cast<double>(rows * p.n));
}
void accuracy(Bench& bench, const Case& c) {
  const Operands operands(c);
  ct::matmul_into(operands.out, operands.a, operands.peer.b_transposed ? operands.stored_b.transpose() : operands.stored_b);
  std::vector<std::pair<std::string, double>> each{{"cotenant", rounding(operands, operands.out.view().data())}};
  peers::Peers contestants = peers::blas_product(operands.peer);
  peers::append(contestants, peers::dnn_product(operands.peer));
  for (const peers::Peer& peer : contestants) peer.run(), each.emplace_back(peer.name, rounding(operands, peer.result<float>()));
  Row row = about(c);
  row.section = "accuracy", row.unit = "1e-9", row.bound = "", row.target_share = 0, row.target_ratio = 1;
  row.target_peers = {"OpenBLAS"};
  bench.figures(row, each);
}

// Weights of a model: ours packs them at the first use and keeps that, oneDNN has reordered them. The others have no such form and
// take part with their plain one, because a user of theirs has nothing better.
void weights(Bench& bench, const Case& c) {
  const Operands operands(c);
  operands.stored_b.freeze();
  const auto b = operands.peer.b_transposed ? operands.stored_b.transpose() : operands.stored_b;
  Row row = about(c);
  row.section = "weights";
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(operands.out, operands.a, b); }}};
    peers::Peers contestants = peers::blas_product(operands.peer);
    peers::append(contestants, peers::dnn_product(operands.peer, {.packed = true}));
    add(calls, contestants, operands.out.view().data(), c.m * c.n, tolerance);
    return calls;
  });
}

void fused(Bench& bench, const Case& c) {
  Operands operands(c);
  // Sums of variance 1, as the layers of a model have them. Of plain random numbers nearly every vector of sums has one below -6.4, where
  // GELU takes the slow way that models hardly ever need.
  for (float& x : operands.stored_b.mutable_view().span()) x *= 3 / std::sqrt(static_cast<float>(c.k));
  operands.stored_b.freeze();
  const auto b = operands.peer.b_transposed ? operands.stored_b.transpose() : operands.stored_b;
  const auto bias = random({c.n}, 3);
  const auto bare = ct::empty<float>({c.m, c.n});
  Row row = about(c);
  row.section = "fused";
  row.shape += " + bias, GELU";
  row.target_ratio = 1 / 1.03;
  row.target_peers = {"cotenant, bare product"};
  row.target_share = 0;
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(operands.out, operands.a, b, [](auto sum, auto x) { return gelu(sum + x); }, bias); }},
                            {"cotenant, bare product", [&] { ct::matmul_into(bare, operands.a, b); }}};
    add(calls, peers::dnn_product(operands.peer, {.packed = true, .bias = bias.view().data(), .gelu = true}), operands.out.view().data(), c.m * c.n, tolerance);
    return calls;
  });
}

void scaling(Bench& bench, const Case& c) {
  const Operands operands(c);
  const auto b = operands.peer.b_transposed ? operands.stored_b.transpose() : operands.stored_b;
  Row row = about(c);
  row.section = "threads";
  row.target_share = 0;
  if (c.m * c.k * c.n < 256 * 256 * 256) row.target_ratio = 0;  // what is smaller than the target's least product
  bench.scaling(row, {"cotenant", [&] { ct::matmul_into(operands.out, operands.a, b); }});
}

}  // namespace

void products(Bench& bench) {
  const std::vector<Case> all{{64, 64, 64}, {128, 128, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {128, 768, 768}, {128, 3072, 768},
                              {128, 768, 3072}, {197, 768, 768}, {128, 128, 64}, {77, 515, 333}, {128, 768, 768, "b"}, {512, 512, 512, "a"}, {512, 512, 512, "b"},
                              {512, 512, 512, "ab"}, {77, 515, 333, "b"}, {16, 16, 16}, {1, 768, 768}, {1, 768, 768, "b"}, {1, 4096, 4096}, {1, 4096, 4096, "b"},
                              {4, 4096, 4096}, {4, 4096, 4096, "b"}};
  if (bench.options.wants("matmul"))
    for (const Case& c : all)
      if (!bench.options.smoke || c.m * c.k * c.n < 4'000'000) plain(bench, c);
  if (bench.options.smoke) return fused(bench, {77, 515, 333, "b"});
  if (bench.options.wants("accuracy") && bench.options.threads.front() == 1)
    for (const Case& c : {Case{64, 64, 64}, Case{77, 515, 333}, Case{512, 512, 512}, Case{128, 3072, 768, "b"}, Case{4, 4096, 4096}, Case{1, 4096, 4096, "b"}}) accuracy(bench, c);
  if (bench.options.wants("weights"))
    for (const Case& c : {Case{128, 768, 768}, Case{128, 768, 768, "b"}, Case{128, 768, 3072, "b"}, Case{128, 3072, 768, "b"}, Case{16, 384, 1536, "b"},
                          Case{1, 768, 768, "b"}})
      weights(bench, c);
  if (bench.options.wants("fused"))
    for (const Case& c : {Case{128, 384, 1536, "b"}, Case{128, 768, 3072, "b"}, Case{512, 512, 512}, Case{1024, 1024, 1024}}) fused(bench, c);
  if (bench.options.wants("threads"))
    for (const Case& c : {Case{256, 256, 256}, Case{512, 512, 512}, Case{1024, 1024, 1024}, Case{128, 768, 3072}, Case{77, 515, 333}}) scaling(bench, c);
}

}  // namespace bench
