// What the variants of the matrix product share: norms on the way in, and what rides on the way out.
//
// uses activation: activate
// uses row_statistics: find_statistics, normalized, statistics
// uses kernel: HAS_BIAS, HAS_RESIDUAL, NORM, bias, out, params, residual

const NORM_OF_X = 1u;
const NORM_OF_RESIDUAL = 2u;

// Looks at the rows from first_row on with `share` lanes each.
fn prepare_norm(first_row: u32, share: u32, lane: u32) {
  if (NORM == NORM_OF_X) {
    find_statistics(first_row, params.M - 1u, params.K / 4u, share, lane);
  }
  if (NORM == NORM_OF_RESIDUAL) {
    find_statistics(first_row, params.M - 1u, params.N / 4u, share, lane);
  }
}

// Where a column goes, in its first row. Out is one or several blocks of out_rows x out_columns: columns beyond those of
// a block go on in the next.
fn start_of(column: u32) -> u32 {
  let c = params.out_column + column;
  let block = c / params.out_columns;
  return (block * params.out_rows + params.out_row) * params.out_columns + c % params.out_columns;
}

fn store(first_row: u32, row: u32, column: u32, product: f32) {
  if (row >= params.M || column >= params.N) {
    return;
  }
  var value = product;
  if (HAS_BIAS != 0u) {
    value += bias[column];
  }
  value = activate(value);
  let i = start_of(column) + row * params.out_columns;
  if (NORM == NORM_OF_RESIDUAL) {
    let four = normalized(vec4f(residual[i]), statistics[row - first_row], column / 4u);
    value += four[column % 4u];
  } else if (HAS_RESIDUAL != 0u) {
    value += residual[i];
  }
  out[i] = value;
}
