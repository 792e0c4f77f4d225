// Stands for the score of no key in a softmax; finite, so that differences of scores stay numbers.
const MASKED = -1e30;
