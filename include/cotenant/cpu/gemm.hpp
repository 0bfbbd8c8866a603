// GemmProblem: a matrix product with its element types erased, so that the blocked loops are compiled once per CPU target.
#ifndef COTENANT_CPU_GEMM_HPP
#define COTENANT_CPU_GEMM_HPP
#include <bit>
#include <cstddef>
#include <cstdint>

#include "cotenant/cpu/tile.hpp"

namespace cotenant::cpu {

// Elements [row, row + rows) x [column, column + columns) of batch entry `batch` are summed up: `sums` holds them, `stride`
// from row to row, with room for whole vectors at the end of each row. Turns them into elements of the output.
using FinishTile = void (*)(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row,
                            std::size_t column, std::size_t rows, std::size_t columns);

// How exact sums of bytes a · b become numbers: (sum - row_zero * column_sums - column_zero * row_sums) * column_scale * row_scale, with
// integers inside the brackets. What belongs to columns has room for whole vectors. Where the zero points of one side are all 0, that
// side's pointer to them is null; row_scale is null where the scales of columns hold that of all rows.
struct Scaling {
  const float *row_scale = nullptr, *column_scale = nullptr;
  const std::int32_t *row_zero = nullptr, *column_sums = nullptr;
  const std::int32_t *column_zero = nullptr, *row_sums = nullptr;

  // That of the elements from (row, column) on.
  Scaling moved(std::size_t row, std::size_t column) const {
    const auto at = [](auto* from, std::size_t offset) { return from == nullptr ? from : from + offset; };
    return {at(row_scale, row), at(column_scale, column), at(row_zero, row), at(column_sums, column), at(column_zero, column), at(row_sums, row)};
  }
};

// Tiles one below the other: rows of the left operand by one block of k of a panel. The kernel goes from tile to tile by itself: what
// is to be found out for each of them by a caller cost 25 cycles, a twentieth of a tile of 64 lanes.
struct TileColumn {
  const char* left;         // lane 0 of the first row
  std::ptrdiff_t left_row;  // bytes from row to row
  float* sums;              // column 0 of the first row
  std::ptrdiff_t sums_row;  // floats from row to row
  std::size_t rows;         // at least one. Rows that the last tile has too much are the last row again
  const float* right;       // lane 0, column 0
  std::ptrdiff_t right_lane;  // floats from lane to lane
  std::size_t lanes;
  std::size_t part;         // lanes whose products are summed up on their own
  bool add;                 // to what the sums are, else they begin at 0
  bool sums_are_far;        // in no near cache: they are asked for while the tile is computed
  bool scales;              // sums are finished: integers become floats as `scaling` says, which begins where the tiles do
  Scaling scaling;
  float* packed;            // where Reading::packs puts the panel
  // The next panel of the right operand: each of the first `asking` tiles asks for a cache line of it per lane: bytes from lane to lane
  // and from one tile's to the next one's.
  const char* next_right;
  std::ptrdiff_t next_right_lane, next_right_tile;
  std::size_t asking;
};

// What a tile does besides: `ahead` asks for a part of the next panel, so that it is in L2 when its turn comes; `packs` reads this one
// from rows of floats where they lie and leaves it packed for the tiles that follow: a pass of its own costs 8 % at 128 rows. (Packing
// the next panel vector by vector in four tiles was 1 to 5 % slower.)
enum class Reading { plain, ahead, packs };

// What the blocked product needs of a CPU target and a leaf: the rest is compiled once for all of them.
struct GemmKernel {
  std::size_t lanes;      // of a vector: 32 bits each
  std::size_t per_lane;   // elements of an operand in each
  std::size_t tile_rows;  // of the highest tile
  std::size_t tile_vectors;  // of the widest
  bool exact;             // sums are integers
  // Tiles of `height` rows, one that next_tiles() gives, and `vectors` vectors. Of the highest and widest one may pack, where per_lane is 1,
  // and the others ask for the next panel.
  void (*multiply)(std::size_t height, std::size_t vectors, bool packs, const TileColumn& tiles);
  // As LanePacking says.
  void (*pack_left)(const Source& from, std::size_t rows, std::size_t depth, std::uint8_t flip, float* to, std::size_t to_step);
  void (*pack_right)(const Source& from, std::size_t depth, std::size_t columns, float* to, std::size_t width);

  // A sum of some 256 products is taken in a register, then added to the others: the rounding errors of one long sum grow with its
  // length. 256 gives the errors of OpenBLAS (its default kernels), 512 a third more; it costs 24 additions in 3072. Parts of one size,
  // since one of a few lanes would cost as much as one of many.
  std::size_t part(std::size_t depth_lanes) const {
    const std::size_t parts = exact ? 1 : (depth_lanes + 128) / 256;
    return parts <= 1 ? depth_lanes : (depth_lanes + parts - 1) / parts;
  }

  // The next of `rows` rows: how high their tiles are, and how many of them such tiles take. Two sums by four vectors just keep the
  // multipliers busy, and what a tile costs besides comes on top: the last one or two rows and a whole tile are two tiles instead, where
  // there are such (0.5 % at 128 rows). Narrow panels are the last ones only: one height does for them; a single vector takes eight
  // rows, for eight sums in flight.
  struct Tiles {
    std::size_t height, rows;
  };
  Tiles next_tiles(std::size_t rows, std::size_t vectors) const {
    if (vectors < tile_vectors) return {vectors == 1 ? 8 : tile_rows, rows};
    const std::size_t rest = rows % tile_rows;
    const bool shares = rest > 0 && rest <= 2 && rows > tile_rows && (tile_rows + 2) % 4 == 0;
    const std::size_t last = shares ? tile_rows + rest : rest;
    if (rows > last) return {tile_rows, rows - last};
    return {shares ? (tile_rows + 2) / 2 : (last + 1) / 2 * 2, last};
  }
};

// sum over k of left[m, k] * right[k, n] for m < rows, n < columns, k < depth.
struct GemmProblem {
  const GemmKernel* kernel = nullptr;
  std::size_t rows = 0, columns = 0, depth = 0;
  // left: its rows are m and its columns k; right: its rows are k and its columns n.
  Source left, right;
  // Flipped in each byte of the left operand: 0x80 makes u8 (value + 128) of i8, for a leaf that takes u8.
  std::uint8_t left_flip = 0;
  // The right operand packed, in the order that DepthBlocks says, or null: then each call packs what it needs.
  const float* packed_right = nullptr;
  // Where the output's rows are plain sums, the sums are its elements: data of this batch entry, else null.
  float* direct = nullptr;
  std::ptrdiff_t direct_stride = 0;
  // Else where element (0, 0) of this batch entry of the output will be, bytes from row to row and from column to column; null where
  // the columns are apart. A tile's place is asked for while its sums are computed: stores that wait for it hold up the next tile.
  const char* result = nullptr;
  std::ptrdiff_t result_row = 0, result_column = 0;
  FinishTile finish = nullptr;
  const void* context = nullptr;
  std::size_t batch = 0;
  // Of a leaf whose sums are integers: what makes floats of them.
  const Scaling* scaling = nullptr;
  // What belongs to whoever set MatmulPlan::block or few_rows.
  const void* weights = nullptr;
  // For few rows: all of them, columns [first, last), by a kernel that reads the right operand's own element type. Null
  // where the strides or the shape do not suit it.
  void (*few_rows)(const GemmProblem& problem, std::size_t first_column, std::size_t last_column) = nullptr;
};

// Products with at most this many rows read the right operand where it lies, if its rows or its columns are contiguous.
inline constexpr std::size_t most_few_rows = 4;
inline bool has_few_rows(const GemmProblem& problem) {
  return problem.rows <= most_few_rows && problem.rows != 0 && problem.depth != 0 && (problem.right.row_stride == 1 || problem.right.column_stride == 1);
}

// How many vectors of `lanes` lanes, or lanes of so many elements, hold `count`. Powers of two: a division is not needed.
inline std::size_t vectors(std::size_t count, std::size_t lanes) { return (count + lanes - 1) >> std::countr_zero(lanes); }

// The columns of a product, cut into panels as wide as the widest tile. Where one vector would remain, the last two panels share what
// they have: one vector alone cannot keep the multipliers busy.
class Panels {
 public:
  Panels(std::size_t columns, const GemmKernel& kernel)
      : lanes_(kernel.lanes), widest_(kernel.tile_vectors), vectors_(cpu::vectors(columns, lanes_)), whole_(vectors_ / widest_) {
    if (vectors_ > widest_ && vectors_ - widest_ * whole_ == 1) --whole_;
  }
  std::size_t count() const {
    const std::size_t rest = vectors_ - widest_ * whole_;
    return whole_ + (rest > widest_ ? 2 : rest > 0 ? 1 : 0);
  }
  // The vector with which a panel begins; that of count() is vectors().
  std::size_t first_vector(std::size_t panel) const {
    return panel <= whole_ ? widest_ * panel : panel == count() ? vectors_ : widest_ * whole_ + widest_ / 2 + 1;
  }
  std::size_t vectors(std::size_t panel) const { return first_vector(panel + 1) - first_vector(panel); }
  std::size_t first_column(std::size_t panel) const { return first_vector(panel) * lanes_; }
  std::size_t vectors() const { return vectors_; }
  // Columns with those that fill up the last vector.
  std::size_t padded_columns() const { return vectors_ * lanes_; }

 private:
  std::size_t lanes_, widest_, vectors_, whole_;
};

// The depth is cut into blocks of at most this many lanes (a lane holds 1 float, 2 bf16 or 4 bytes). A panel of four vectors
// is then at most 1024 * 4 * 64 bytes = 256 KiB, a quarter of the L2 cache of CPUs with such vectors, and less with shorter ones; it
// is read from there at 256 bytes per 12 cycles. Blocks of 512 read and write the sums more often: 1 to 4 % where they cut a depth that is
// one block now. The order of the additions depends on this and on GemmKernel::part, never on the caches or the number of threads.
inline constexpr std::size_t block_lanes = 1024;

// How the depth of a product is cut, and where a packed right operand has what: block after block of k, in each panel after
// panel, in each lane after lane, in each its columns.
struct DepthBlocks {
  std::size_t lanes, count, step;
  DepthBlocks(std::size_t depth, std::size_t per_lane) : lanes(vectors(depth, per_lane)), count(lanes <= block_lanes ? 1 : (lanes - 1) / block_lanes + 1),
                                                         step(((count == 1 ? lanes : (lanes + count - 1) / count) + 3) / 4 * 4) {}
  std::size_t first(std::size_t block) const { return block * step < lanes ? block * step : lanes; }
  std::size_t size(std::size_t block) const { return first(block + 1) - first(block); }
};

}  // namespace cotenant::cpu

#endif
